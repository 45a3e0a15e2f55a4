// What squeue printed on four nodes for the same jobs, asked as the backend asks it: one that ended with 5, one that ended itself by SIGSEGV, an
// array whose elements end with their indices, one that waits or runs on all nodes, one that is held, and one that asks for nine nodes.

export const recorded: Readonly<Record<string, { readonly queue: string; readonly never: string }>> = {
  '22.05.8': {
    never: 'its job cannot start: no nodes are as it asks for (PartitionConfig)',
    queue: `
3|0|5|COMPLETED|0|0|lab1|2026-11-22T04:47:10|2026-11-22T04:47:11|N/A|N/A|None|
1|N/A|1|FAILED|0|1280|lab0|2026-11-22T04:47:10|2026-11-22T04:47:11|N/A|N/A|NonZeroExitCode|
2|N/A|2|FAILED|0|11|lab[0-1]|2026-11-22T04:47:10|2026-11-22T04:47:11|N/A|N/A|JobLaunchFailure|
3|2|7|FAILED|0|512|lab0|2026-11-22T04:47:11|2026-11-22T04:47:12|N/A|N/A|NonZeroExitCode|
3|3|3|FAILED|0|768|lab0|2026-11-22T04:47:11|2026-11-22T04:47:12|N/A|N/A|NonZeroExitCode|
3|1|6|FAILED|0|256|lab2|2026-11-22T04:47:10|2026-11-22T04:47:11|N/A|N/A|NonZeroExitCode|
9|N/A|9|PENDING|0|0||N/A|N/A|N/A|N/A|PartitionConfig|
8|N/A|8|PENDING|0|0||N/A|N/A|N/A|N/A|JobHeldUser|
4|N/A|4|RUNNING|0|0|lab[0-3]|2026-11-22T04:47:12|2027-11-22T04:47:12|N/A|N/A|None|
`,
  },
  '23.11.4': {
    never: 'its job cannot start: no nodes are as it asks for (PartitionConfig)',
    queue: `
3|0|4|COMPLETED|0|0:0|lab1|2026-11-22T05:02:52|2026-11-22T05:02:52|N/A|N/A|None|
3|2|7|FAILED|0|2:0|lab0|2026-11-22T05:02:54|2026-11-22T05:02:54|N/A|N/A|NonZeroExitCode|
3|3|3|FAILED|0|3:0|lab0|2026-11-22T05:02:54|2026-11-22T05:02:54|N/A|N/A|NonZeroExitCode|
1|N/A|1|FAILED|0|5:0|lab0|2026-11-22T05:02:52|2026-11-22T05:02:52|N/A|N/A|NonZeroExitCode|
2|N/A|2|FAILED|0|0:11|lab[0-1]|2026-11-22T05:02:52|2026-11-22T05:02:52|N/A|N/A|RaisedSignal:11(Segmentation fault)|
3|1|5|FAILED|0|1:0|lab2|2026-11-22T05:02:52|2026-11-22T05:02:52|N/A|N/A|NonZeroExitCode|
6|N/A|6|PENDING|0|0:0||2027-11-22T05:02:54|NONE|N/A|N/A|InvalidAccount|
9|N/A|9|PENDING|0|0:0||N/A|N/A|N/A|N/A|PartitionConfig|
8|N/A|8|PENDING|0|0:0||N/A|N/A|N/A|N/A|JobHeldUser|
`,
  },
  '24.11.5': {
    never: 'asks for what the cluster cannot give: BadConstraints',
    queue: `
3|0|5|COMPLETED|0|0:0|lab1|2026-11-22T04:47:01|2026-11-22T04:47:01|N/A|N/A|None|
9|N/A|9|FAILED|0|0:1||2026-11-22T04:47:03|2026-11-22T04:47:03|N/A|N/A|BadConstraints|
1|N/A|1|FAILED|0|5:0|lab0|2026-11-22T04:47:01|2026-11-22T04:47:01|N/A|N/A|NonZeroExitCode|
2|N/A|2|FAILED|0|0:11|lab[0-1]|2026-11-22T04:47:01|2026-11-22T04:47:01|N/A|N/A|RaisedSignal:11(Segmentation fault)|
3|1|6|FAILED|0|1:0|lab2|2026-11-22T04:47:01|2026-11-22T04:47:01|N/A|N/A|NonZeroExitCode|
3|2|7|FAILED|0|2:0|lab0|2026-11-22T04:47:01|2026-11-22T04:47:01|N/A|N/A|NonZeroExitCode|
3|3|3|FAILED|0|3:0|lab0|2026-11-22T04:47:01|2026-11-22T04:47:01|N/A|N/A|NonZeroExitCode|
8|N/A|8|PENDING|0|0:0||N/A|N/A|N/A|N/A|JobHeldUser|
4|N/A|4|RUNNING|0|0:0|lab[0-3]|2026-11-22T04:47:02|NONE|N/A|N/A|None|
`,
  },
  '26.05.5': {
    never: 'its job cannot start: no nodes are as it asks for (PartitionConfig)',
    queue: `
3|0|5|COMPLETED|0|0:0|lab1|2026-11-22T05:02:56|2026-11-22T05:02:57|N/A|N/A|None|
3|2|7|FAILED|0|2:0|lab2|2026-11-22T05:02:57|2026-11-22T05:02:57|N/A|N/A|NonZeroExitCode|
3|3|3|FAILED|0|3:0|lab0|2026-11-22T05:02:57|2026-11-22T05:02:58|N/A|N/A|NonZeroExitCode|
1|N/A|1|FAILED|0|5:0|lab0|2026-11-22T05:02:56|2026-11-22T05:02:57|N/A|N/A|NonZeroExitCode|
2|N/A|2|FAILED|0|0:11|lab[0-1]|2026-11-22T05:02:56|2026-11-22T05:02:57|N/A|N/A|RaisedSignal:11(Segmentation fault)|
3|1|6|FAILED|0|1:0|lab2|2026-11-22T05:02:56|2026-11-22T05:02:56|N/A|N/A|NonZeroExitCode|
9|N/A|9|PENDING|0|0:0||N/A|N/A|N/A|N/A|PartitionConfig|
8|N/A|8|PENDING|0|0:0||N/A|N/A|N/A|N/A|JobHeldUser|
4|N/A|4|RUNNING|0|0:0|lab[0-3]|2026-11-22T05:02:58|2027-11-22T05:02:58|N/A|N/A|None|
`,
  },
}
