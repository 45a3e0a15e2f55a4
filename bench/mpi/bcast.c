// Rank 0 reads a file, MPI_Bcast takes it to the others piece by piece, and each of them writes it. Arguments: from, to.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE = 8 << 20 };

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  char *piece = malloc(PIECE);
  FILE *file = argc == 3 ? fopen(argv[rank == 0 ? 1 : 2], rank == 0 ? "r" : "w") : NULL;
  if (!file || !piece) MPI_Abort(MPI_COMM_WORLD, 2);
  for (int length = 1; length > 0;) {
    if (rank == 0) length = (int)fread(piece, 1, PIECE, file);
    MPI_Bcast(&length, 1, MPI_INT, 0, MPI_COMM_WORLD);
    MPI_Bcast(piece, length, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (rank != 0 && fwrite(piece, 1, length, file) != (size_t)length) MPI_Abort(MPI_COMM_WORLD, 3);
  }
  if (fclose(file) != 0) MPI_Abort(MPI_COMM_WORLD, 4);
  MPI_Finalize();
  return 0;
}
