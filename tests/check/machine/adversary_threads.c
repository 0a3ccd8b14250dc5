/*
 * adversary_threads.c - nothing: test_adversary.c has no columns.
 */
typedef int adversary_has_no_columns;
