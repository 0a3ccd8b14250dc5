/*
 * setjmp.h - cmocka wants it included; the tests do not jump.
 */
