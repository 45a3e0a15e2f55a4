// All ranks sum their numbers, then sleep for as many seconds as the argument says.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size, sum;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (sum != size * (size - 1) / 2) MPI_Abort(MPI_COMM_WORLD, 1);
  if (argc > 1) usleep((useconds_t)(atof(argv[1]) * 1e6));
  if (rank == 0) printf("hello of %d\n", size);
  MPI_Finalize();
  return 0;
}
