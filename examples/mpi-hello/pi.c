// Integrates 4/(1+x²) from 0 to 1 by the midpoint rule, each rank every size-th piece. Argument: how many pieces.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  long pieces = argc > 1 ? atol(argv[1]) : 10000000;
  double width = 1.0 / pieces, part = 0, whole = 0;
  for (long i = rank; i < pieces; i += size) {
    double x = (i + 0.5) * width;
    part += 4.0 / (1.0 + x * x);
  }
  part *= width;
  MPI_Reduce(&part, &whole, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) printf("%.15f\n", whole);
  MPI_Finalize();
  return 0;
}
