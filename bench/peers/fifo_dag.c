/* Tasks on single FIFO servers, once their predecessors have ended: the loop of the plain kernel in C.
 *
 * In:  records of tasks and servers, a heap with room for one entry a server; tasks[count].edge closes the edges.
 * Out: start, end and cause of every task; returns the last end.
 * The heap holds running tasks only; an ended task is replaced at the top by the one that starts in its place.
 */
#include <stdint.h>

typedef struct { int64_t duration, start, end; int32_t cause, waiting, server, next, edge, spare; } task_t;
typedef struct { int32_t busy, head, tail, spare; } server_t;
typedef struct { int64_t tick, task; } event_t;

static inline int before(event_t a, event_t b) { return a.tick < b.tick || (a.tick == b.tick && a.task < b.task); }

static inline void sift_down(event_t *heap, int64_t size, event_t event) {
    int64_t at = 0, child;
    while ((child = 2 * at + 1) < size) {
        if (child + 1 < size && before(heap[child + 1], heap[child])) child++;
        if (before(event, heap[child])) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = event;
}

static inline void sift_up(event_t *heap, int64_t at, event_t event) {
    while (at > 0 && before(event, heap[(at - 1) >> 1])) {
        heap[at] = heap[(at - 1) >> 1];
        at = (at - 1) >> 1;
    }
    heap[at] = event;
}

int64_t play(task_t *tasks, int64_t count, server_t *servers, const int32_t *targets, event_t *heap) {
    int64_t size = 0, now = 0;
    int32_t cause = -1;
    int64_t initial = 0; /* tasks that wait for nothing come first, in order; after them, one task ends each time round */
    for (;;) {
        int replaced = 1;
        const int32_t *target, *last;
        int32_t ready = -1;
        if (initial < count) {
            while (initial < count && tasks[initial].waiting != 0) initial++;
            if (initial == count) continue;
            ready = (int32_t)initial++;
            target = last = targets;
        } else {
            if (size == 0) return now;
            now = heap[0].tick;
            cause = (int32_t)heap[0].task;
            tasks[cause].end = now;
            server_t *server = &servers[tasks[cause].server];
            target = targets + tasks[cause].edge;
            last = targets + tasks[cause + 1].edge;
            replaced = 0;
            if (server->head >= 0) {
                int32_t next = server->head;
                server->head = tasks[next].next;
                tasks[next].start = now;
                tasks[next].cause = cause;
                sift_down(heap, size, (event_t){now + tasks[next].duration, next});
                replaced = 1;
            } else {
                server->busy = 0;
            }
        }
        for (;;) {
            if (ready < 0) {
                if (target == last) break;
                if (--tasks[*target].waiting != 0) { target++; continue; }
                ready = *target++;
            }
            task_t *task = &tasks[ready];
            server_t *server = &servers[task->server];
            if (server->busy) {
                task->next = -1;
                if (server->head < 0) server->head = ready; else tasks[server->tail].next = ready;
                server->tail = ready;
            } else {
                event_t event = {now + task->duration, ready};
                server->busy = 1;
                task->start = now;
                task->cause = cause;
                if (replaced) sift_up(heap, size++, event);
                else { sift_down(heap, size, event); replaced = 1; }
            }
            ready = -1;
        }
        if (!replaced) {
            size--;
            if (size > 0) sift_down(heap, size, heap[size]);
        }
    }
}
