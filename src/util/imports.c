#include "util/imports.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#if defined __x86_64__
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOB_DAT = R_X86_64_GLOB_DAT, ADDRESS = R_X86_64_64 };
#elif defined __aarch64__
enum { JUMP_SLOT = R_AARCH64_JUMP_SLOT, GLOB_DAT = R_AARCH64_GLOB_DAT, ADDRESS = R_AARCH64_ABS64 };
#else
enum { JUMP_SLOT = -1, GLOB_DAT = -1, ADDRESS = -1 };
#endif

struct visit {
    tbi_import_visitor *visit;
    void *ctx;
};

struct object {
    const struct dl_phdr_info *info;
    const ElfW(Sym) *symbol;
    const char *strings;
    const ElfW(Rela) *rela[2]; /* data and calls */
    size_t nrela[2];
    uintptr_t sealed, sealed_end; /* what the dynamic linker has made read-only, whole pages */
    bool open;                    /* it is writable at the moment */
};

/* Some dynamic linkers put addresses there, others leave offsets. */
static const void *address(const struct dl_phdr_info *info, ElfW(Addr) value)
{
    return (const void *)(value < info->dlpi_addr ? value + info->dlpi_addr : value);
}

static void read_dynamic(struct object *o, const ElfW(Dyn) *d)
{
    bool plain = true; /* entries with addends, as these machines have them */

    for (; d->d_tag != DT_NULL; d++)
        switch (d->d_tag) {
        case DT_SYMTAB: o->symbol = address(o->info, d->d_un.d_ptr); break;
        case DT_STRTAB: o->strings = address(o->info, d->d_un.d_ptr); break;
        case DT_RELA: o->rela[0] = address(o->info, d->d_un.d_ptr); break;
        case DT_RELASZ: o->nrela[0] = d->d_un.d_val / sizeof **o->rela; break;
        case DT_JMPREL: o->rela[1] = address(o->info, d->d_un.d_ptr); break;
        case DT_PLTRELSZ: o->nrela[1] = d->d_un.d_val / sizeof **o->rela; break;
        case DT_PLTREL: plain = d->d_un.d_val == DT_RELA; break;
        default: break;
        }
    if (!plain)
        o->nrela[1] = 0;
}

static void read_headers(struct object *o)
{
    const struct dl_phdr_info *info = o->info;
    uintptr_t page = getauxval(AT_PAGESZ); /* by which the dynamic linker has rounded */

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + h->p_vaddr;

        if (h->p_type == PT_DYNAMIC)
            read_dynamic(o, (const void *)at);
        if (h->p_type == PT_GNU_RELRO) {
            o->sealed = at / page * page;
            o->sealed_end = (at + h->p_memsz) / page * page;
        }
    }
}

/* Is it in data of the object, as it should be? */
static bool is_data(const struct object *o, uintptr_t at)
{
    for (int i = 0; i < o->info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &o->info->dlpi_phdr[i];
        uintptr_t from = o->info->dlpi_addr + h->p_vaddr;

        if (h->p_type == PT_LOAD && (h->p_flags & PF_W) && at >= from && at < from + h->p_memsz)
            return true;
    }
    return false;
}

static void store(struct object *o, void **entry, void *value)
{
    uintptr_t at = (uintptr_t)entry;

    if (!is_data(o, at))
        return;
    if (at >= o->sealed && at < o->sealed_end && !o->open) {
        if (mprotect((void *)o->sealed, o->sealed_end - o->sealed, PROT_READ | PROT_WRITE) != 0)
            return;
        o->open = true;
    }
    __atomic_store_n(entry, value, __ATOMIC_RELAXED);
}

static void visit_entry(struct object *o, const ElfW(Rela) *r, const struct visit *v)
{
    const ElfW(Sym) *symbol = &o->symbol[ELF64_R_SYM(r->r_info)];
    int type = (int)ELF64_R_TYPE(r->r_info);
    void **entry = (void **)(o->info->dlpi_addr + r->r_offset);
    void *now, *then;

    if (symbol->st_shndx != SHN_UNDEF || ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT)
        return;
    if (type != JUMP_SLOT && type != GLOB_DAT && (type != ADDRESS || r->r_addend != 0))
        return;
    now = __atomic_load_n(entry, __ATOMIC_RELAXED);
    then = v->visit(v->ctx, o->strings + symbol->st_name, now);
    if (then != now)
        store(o, entry, then);
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct object o = {.info = info};

    (void)size;
    read_headers(&o);
    if (o.symbol == NULL || o.strings == NULL)
        return 0;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; o.rela[k] != NULL && i < o.nrela[k]; i++)
            if (ELF64_R_SYM(o.rela[k][i].r_info) != 0)
                visit_entry(&o, &o.rela[k][i], ctx);
    if (o.open)
        mprotect((void *)o.sealed, o.sealed_end - o.sealed, PROT_READ);
    return 0;
}

void tbi_imports_visit(tbi_import_visitor *visit, void *ctx)
{
    struct visit v = {visit, ctx};

    dl_iterate_phdr(visit_object, &v);
}
