#include "forge/optimize/ticker.h"

#include "base/mem.h"

void ticker_add(struct ticker *ticker, double share)
{
    ticker->total += share;
}

void ticker_begin(struct ticker *ticker, double share)
{
    ticker->current = share;
}

void ticker_end(struct ticker *ticker)
{
    ticker->before += ticker->current;
    ticker->current = 0;
}

double ticker_goal(const struct ticker *ticker, double share)
{
    return ticker->before + share;
}

void ticker_reach(struct ticker *ticker, double goal)
{
    ticker->before = goal;
    ticker->current = 0;
}

size_t ticker_at(struct ticker *ticker, size_t done, size_t total)
{
    double part = total ? (double)MIN(done, total) / (double)total : 0;
    double all = ticker->total > 0 ? (ticker->before + part * ticker->current) / ticker->total : 0;
    size_t at = (size_t)(all * TICKER_MAX);
    ticker->shown = MAX(ticker->shown, MIN(at, (size_t)TICKER_MAX));
    return ticker->shown;
}
