// Times messages between each pair of the ranks that are named as arguments, one pair after the other, and prints a line
// `FROM TO MICROSECONDS MEGABYTES_PER_SECOND` for each: half of a round trip of 8 bytes, and the rate of messages of 1 MiB.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SMALL = 8, LARGE = 1 << 20, ROUNDS = 100, LARGE_ROUNDS = 10 };

static char buffer[LARGE];

// Seconds of so many round trips.
static double rounds(int first, int peer, int bytes, int count) {
  double begun = MPI_Wtime();
  for (int i = 0; i < count; i++) {
    if (first) MPI_Send(buffer, bytes, MPI_BYTE, peer, 0, MPI_COMM_WORLD);
    MPI_Recv(buffer, bytes, MPI_BYTE, peer, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (!first) MPI_Send(buffer, bytes, MPI_BYTE, peer, 0, MPI_COMM_WORLD);
  }
  return MPI_Wtime() - begun;
}

// Waits for all without taking a core from those who measure.
static void meet(void) {
  MPI_Request request;
  int done = 0;
  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  while (MPI_Test(&request, &done, MPI_STATUS_IGNORE), !done) usleep(500);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int a = 1; a < argc; a++)
    for (int b = a + 1; b < argc; b++) {
      int from = atoi(argv[a]), to = atoi(argv[b]);
      double times[2] = {0, 0};
      if (rank == from || rank == to) {
        int peer = rank == from ? to : from;
        rounds(rank == from, peer, SMALL, 5);
        times[0] = rounds(rank == from, peer, SMALL, ROUNDS);
        rounds(rank == from, peer, LARGE, 1);
        times[1] = rounds(rank == from, peer, LARGE, LARGE_ROUNDS);
      }
      if (rank == from && rank != 0) MPI_Send(times, 2, MPI_DOUBLE, 0, 1, MPI_COMM_WORLD);
      if (rank == 0) {
        if (from != 0) MPI_Recv(times, 2, MPI_DOUBLE, from, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        printf("%d %d %.2f %.1f\n", a - 1, b - 1, times[0] / ROUNDS / 2 * 1e6, 2.0 * LARGE * LARGE_ROUNDS / times[1] / 1e6);
        fflush(stdout);
      }
      meet();
    }
  MPI_Finalize();
  return 0;
}
