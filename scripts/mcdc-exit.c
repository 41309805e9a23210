/* Linked into everything that scripts/mcdc builds: a child of a test that leaves by _exit writes its counters first. */
int __llvm_profile_write_file(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
    __llvm_profile_write_file();
    __real__exit(status);
}
