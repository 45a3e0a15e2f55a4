/* MPI_Allreduce of argv[1] floats, argv[2] times, after one to warm up; rank 0 prints milliseconds of one. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int count = atoi(argv[1]), repetitions = atoi(argv[2]), rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  float *array = calloc(count, sizeof(float));
  MPI_Allreduce(MPI_IN_PLACE, array, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  MPI_Barrier(MPI_COMM_WORLD);
  double begun = MPI_Wtime();
  for (int at = 0; at < repetitions; at++)
    MPI_Allreduce(MPI_IN_PLACE, array, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  if (rank == 0) printf("%.6f\n", (MPI_Wtime() - begun) * 1000 / repetitions);
  MPI_Finalize();
  return 0;
}
