from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        print("sum of squares", sum(pool.map(pow, range(28), [2] * 28)))
