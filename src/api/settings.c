#include "api/settings.h"
#include "api/errors.h"
#include "util/number.h"
#include "util/spelling.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum kind { NUMBER, COUNT, BYTES, CHOICE /* unit: the names, of 0 on */, TEXT };

struct row {
    const char *variable;
    enum kind kind;
    double def, least, most;
    const char *unit, *help;
    size_t at;
};

#define MEGA 0x1p20
#define TERA 0x1p40
#define OR_0(x) (-(x))
#define ROW(field, variable, kind, def, least, most, unit, help)                                   \
    {#variable, kind, def, least, most, unit, help, offsetof(struct tbi_settings, field)},
static const struct row rows[] = {TBI_SETTINGS(ROW)};
#undef ROW
enum { ROWS = sizeof rows / sizeof rows[0] };

/* A number as it may stand in the environment. */
static const char *spell(const struct row *row, double x, char to[32])
{
    static const char suffix[] = " KMGT";
    int s = 0;

    while (row->kind == BYTES && s < 4 && x >= 1024 && x == 1024 * floor(x / 1024)) {
        x /= 1024;
        s++;
    }
    tbi_number_write(to, 31, x);
    if (s > 0)
        strncat(to, &suffix[s], 1);
    return to;
}

/* "1M to 16T, or 0": what may be set. */
static const char *spell_range(const struct row *row, char to[96])
{
    char least[32], most[32], def[32];

    if (row->kind == TEXT || row->kind == CHOICE)
        return "";
    snprintf(to, 96, "%s to %s%s%s%s", spell(row, fabs(row->least), least), spell(row, row->most, most),
             row->least < 0 ? ", or 0" : "", row->def < 0 ? ", or " : "",
             row->def < 0 ? spell(row, row->def, def) : "");
    return to;
}

void tbi_settings_document(FILE *to)
{
    char range[96], def[32];

    fprintf(to, "# Settings\n\n"
            "Environment variables of the first rank; it tells the others. They come before what\n"
            "`TB_CONFIG` says, and that before what is found out about the machine. Made from the table\n"
            "in `src/api/settings.h`; `tests/unit/test_settings` holds the two together. 1 and 0 stand for\n"
            "yes and no too.\n\n"
            "| variable | default | possible | unit | what |\n|---|---|---|---|---|\n");
    for (unsigned i = 0; i < ROWS; i++) {
        fprintf(to, "| `%s` | ", rows[i].variable);
        if (rows[i].kind == CHOICE) /* the default is the first */
            fprintf(to, "%.*s", (int)strcspn(rows[i].unit, ","), rows[i].unit);
        else if (rows[i].kind == TEXT)
            fprintf(to, "none");
        else
            fprintf(to, "%s", tbi_number_write(def, sizeof def, rows[i].def));
        fprintf(to, " | %s | %s | %s |\n", spell_range(&rows[i], range), rows[i].unit, rows[i].help);
    }
}

static int bad(const struct row *row, const char *text, const char *possible)
{
    return tbi_error_set(TB_ERR_ARGUMENT, "%s=%s: %s is expected (%s)", row->variable, text,
                         possible, row->unit);
}

static int parse_choice(const struct row *row, const char *text, double *x)
{
    bool yes_or_no = strstr(row->unit, "yes") != NULL;
    const char *name = row->unit, *word = text;

    if (yes_or_no && (strcmp(text, "1") == 0 || strcmp(text, "0") == 0))
        word = *text == '1' ? "yes" : "no";
    for (int i = 0; *name != 0; i++) {
        size_t n = strcspn(name, ",");

        if (strlen(word) == n && strncmp(word, name, n) == 0) {
            *x = i;
            return 0;
        }
        name += n + strspn(name + n, ", ");
    }
    return tbi_error_set(TB_ERR_ARGUMENT, "%s=%s: one of %s is expected", row->variable, text,
                         row->unit);
}

static int parse_text(const struct row *row, const char *text, char *to)
{
    size_t bytes = strlen(text) + 1;

    if (bytes > TBI_SETTING_TEXT)
        return tbi_error_set(TB_ERR_ARGUMENT, "%s has %zu characters: up to %d are possible (%s)",
                             row->variable, bytes - 1, TBI_SETTING_TEXT - 1, row->unit);
    memcpy(to, text, bytes);
    return 0;
}

/* `what`: how the user wrote it. */
static int check_range(const struct row *row, const char *what, double x)
{
    char range[96];

    if (x == row->def || (x == 0 && row->least < 0) || (x >= fabs(row->least) && x <= row->most))
        return 0;
    return tbi_error_set(TB_ERR_ARGUMENT, "%s is too %s: %s are possible (%s, %s)", what,
                         x > row->most ? "large" : "small", spell_range(row, range), row->unit, row->help);
}

/* strtod takes hexadecimal numbers and leading blanks, too. */
static bool is_decimal(const char *text)
{
    return !isspace((unsigned char)*text) && strstr(text, "0x") == NULL && strstr(text, "0X") == NULL;
}

static int parse(const struct row *row, const char *text, void *to)
{
    static const char suffix[] = "KMGT";
    char what[TBI_SETTING_TEXT];
    double *x = to;
    const char *s;
    char *end;

    if (row->kind == TEXT)
        return parse_text(row, text, to);
    if (row->kind == CHOICE)
        return parse_choice(row, text, x);
    *x = tbi_number_read(text, &end);
    if (end == text || !is_decimal(text) || !isfinite(*x) || (*x < 0 && *x != row->def))
        return bad(row, text, "a number from 0 on");
    if (row->kind == BYTES && *end != 0 && (s = strchr(suffix, *end)) != NULL) {
        *x = ldexp(*x, 10 * (int)(s - suffix + 1));
        end++;
        if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)
            end += strlen(end);
    }
    if (*end != 0)
        return bad(row, text, row->kind == BYTES ? "a number, perhaps with K, M, G or T"
                                                 : "a number");
    if (row->kind != NUMBER && *x != floor(*x))
        return bad(row, text, "a whole number");
    snprintf(what, sizeof what, "%s=%s", row->variable, text);
    return check_range(row, what, *x);
}

static const char *name_of(unsigned i)
{
    return rows[i].variable;
}

static const struct row *find(const char *name)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (strcmp(rows[i].variable, name) == 0)
            return &rows[i];
    return NULL;
}

static int text_of_config(const char *field, const char *text, char *to)
{
    if (text == NULL)
        return 0;
    if (strlen(text) >= TBI_SETTING_TEXT)
        return tbi_error_set(TB_ERR_ARGUMENT, "TB_CONFIG(.%s) has %zu characters: up to %d are "
                             "possible", field, strlen(text), TBI_SETTING_TEXT - 1);
    strcpy(to, text);
    return 0;
}

/* As it would stand in TB_RESOURCES; the names are checked where that is read. */
static int resources_of_config(const tb_config *config, char *to)
{
    char amount[32];
    size_t at = 0;

    for (size_t i = 0; i < sizeof config->resources / sizeof config->resources[0]; i++) {
        const tb_resource *r = &config->resources[i];

        if (r->name == NULL && r->amount == 0)
            continue;
        if (r->name == NULL || strpbrk(r->name, ",;=") != NULL)
            return tbi_error_set(TB_ERR_ARGUMENT, "TB_CONFIG(.resources = {{\"%s\", %g}}): a name has "
                                 "letters, digits, '_', '-' and '.'", r->name ? r->name : "(null)",
                                 r->amount);
        at += (size_t)snprintf(to + at, TBI_SETTING_TEXT - at, "%s%s=%s", at > 0 ? "," : "", r->name,
                               tbi_number_write(amount, sizeof amount, r->amount));
        if (at >= TBI_SETTING_TEXT)
            return tbi_error_set(TB_ERR_ARGUMENT, "TB_CONFIG(.resources): the names are too long");
    }
    return 0;
}

static int check_config(const char *field, const char *variable, double x)
{
    char what[64];

    snprintf(what, sizeof what, "TB_CONFIG(.%s = %.15g)", field, x);
    return check_range(find(variable), what, x);
}

static int read_config(struct tbi_settings *s, const tb_config *config)
{
    int rc = check_config("num_cpus", "TB_NUM_CPUS", config->num_cpus);

    if (config->num_gpus != TB_NONE && !(config->num_gpus >= 0 && config->num_gpus <= TBI_GPUS_MAX &&
                                         config->num_gpus == floor(config->num_gpus)))
        return tbi_error_set(TB_ERR_ARGUMENT, "TB_CONFIG(.num_gpus = %g): 1 to %d are possible, "
                             "TB_NONE for none, or 0 for those that are found", config->num_gpus, TBI_GPUS_MAX);
    if (rc == 0)
        rc = check_config("memory", "TB_MEMORY", (double)config->memory);
    if (rc == 0)
        rc = check_config("store", "TB_STORE", (double)config->store);
    if (rc != 0)
        return rc;
    s->num_cpus = config->num_cpus;
    s->num_gpus = config->num_gpus == TB_NONE ? 0 : config->num_gpus == 0 ? -1 : config->num_gpus;
    s->memory = (double)config->memory;
    s->store = (double)config->store;
    rc = resources_of_config(config, s->resources);
    if (rc == 0)
        rc = text_of_config("labels", config->labels, s->labels);
    return rc != 0 ? rc : text_of_config("ranks", config->ranks, s->ranks);
}

/* Of an entry of the environment: its name if it begins with TB_, and what is set. NULL: it is another one. */
static const char *setting_of(const char *entry, char name[40])
{
    const char *eq = strchr(entry, '=');

    if (strncmp(entry, "TB_", 3) != 0 || eq == NULL || eq - entry >= 40)
        return NULL;
    memcpy(name, entry, (size_t)(eq - entry));
    name[eq - entry] = 0;
    return eq + 1;
}

int tbi_settings_read(struct tbi_settings *settings, const tb_config *config)
{
    int rc;

    memset(settings, 0, sizeof *settings);
    for (unsigned i = 0; i < ROWS; i++)
        if (rows[i].kind != TEXT)
            *(double *)((char *)settings + rows[i].at) = rows[i].def;
    if (config != NULL && (rc = read_config(settings, config)) != 0)
        return rc;
    for (char **e = environ; *e != NULL; e++) {
        char name[40];
        const char *text = setting_of(*e, name);
        const struct row *row = text != NULL ? find(name) : NULL;

        if (row != NULL && (rc = parse(row, text, (char *)settings + row->at)) != 0)
            return rc;
    }
    return 0;
}

void tbi_settings_warn(FILE *to)
{
    for (char **e = environ; *e != NULL; e++) {
        char name[40];

        if (setting_of(*e, name) != NULL && find(name) == NULL)
            fprintf(to, "thornback: warning: %s is set, but there is no such setting; did you mean %s?\n", name,
                    tbi_spelling_nearest(name, name_of, ROWS));
    }
}
