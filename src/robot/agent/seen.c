#include "robot/agent/seen.h"

#include "base/log.h"
#include "robot/watch/seen_file.h"

void seen_book_open(struct seen_book *book, const char *run_dir)
{
    struct seen_stamp stamp = {0};
    struct err err = {0};
    *book = (struct seen_book){.run_dir = run_dir};
    if (seen_file_look(run_dir, &stamp, &book->list, &err) < 0) {
        log_warn("acknowledged alarms are asked for anew: %s", err.text);
        book->list.count = 0;
    }
}

static void save(struct seen_book *book)
{
    struct err err = {0};
    book->unsaved = seen_file_save(book->run_dir, &book->list, &err) < 0;
    if (book->unsaved && !book->complained)
        log_warn("acknowledged alarms wait: %s", err.text);
    book->complained = book->unsaved;
}

int seen_book_take(struct seen_book *book, const struct seen_list *news, struct err *err)
{
    uint64_t before = seen_last(&book->list);
    for (size_t i = 0; i < news->count; i++)
        seen_add(&book->list, &news->items[i]);
    if (news->count || book->unsaved)
        save(book);
    if (news->count && seen_last(&book->list) == before)
        return err_set(err, ERR_CONFLICT, "the server says again what was acknowledged");
    return 0;
}
