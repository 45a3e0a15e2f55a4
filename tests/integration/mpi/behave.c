// behave MODE [RANK]: an MPI program that does what the tests need of one; RANK is the culprit.
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "hello";
  int culprit = argc > 2 ? atoi(argv[2]) : -1, rank, size;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (strcmp(mode, "hello") == 0) {
    double mine[1000], sum[1000];
    for (int i = 0; i < 1000; i++) mine[i] = rank * 1000 + i;
    MPI_Allreduce(mine, sum, 1000, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    double all = 0;
    for (int i = 0; i < 1000; i++) all += sum[i];
    printf("rank %d of %d, sum %.0f\n", rank, size, all);
    fprintf(stderr, "error of rank %d\n", rank);
  } else if (strcmp(mode, "stdin") == 0 && rank == 0) {
    long sum = 0, count = 0;
    for (int c; (c = getchar()) != EOF; count++) sum = (sum * 31 + c) % 1000003;
    printf("read %ld bytes, check %ld\n", count, sum);
  } else if (strcmp(mode, "env") == 0) {
    const char *value = getenv("AWKWARD");
    char cwd[4096], hex[1024] = "";
    for (const char *c = value ? value : "nothing"; *c; c++) sprintf(hex + strlen(hex), "%02x", (unsigned char)*c);
    printf("rank %d of node %s in %s has %s\n", rank, getenv("GANGFLOW_NODE"), getcwd(cwd, sizeof cwd), hex);
  } else if (strcmp(mode, "flood") == 0) {
    char xs[977] = "";
    memset(xs, 'x', 976);
    for (int i = 0; i < culprit; i++) printf("rank %02d line %08d %s\n", rank, i, xs);
  } else if (rank == culprit) {
    fprintf(stderr, "rank %d is about to %s\n", rank, mode);
    if (strcmp(mode, "abort") == 0) MPI_Abort(MPI_COMM_WORLD, 7);
    if (strcmp(mode, "exit") == 0) exit(3);
    if (strcmp(mode, "segv") == 0) raise(SIGSEGV);
    if (strcmp(mode, "wait") == 0) {
      FILE *told = fopen("/tmp/of-node-waits", "w");
      if (told) fclose(told);
      for (;;) pause();
    }
  }
  if (strcmp(mode, "hello") != 0 && strcmp(mode, "env") != 0) MPI_Barrier(MPI_COMM_WORLD);
  MPI_Finalize();
  return strcmp(mode, "late") == 0 && rank == culprit ? 3 : 0;
}
