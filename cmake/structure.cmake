# Tests of the source and the objects themselves, and of the tools that the other tests rely on.
