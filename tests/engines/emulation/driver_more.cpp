// Appended to the stand-in for libcuda.so.1 of tests/cuda/emulation: what the TensorRT backend calls beside it. All
// streams share one queue there, so that an event that is waited for has always been.

static int busy, graphs;
static thread_local int depth;
static size_t captured_from;
typedef std::vector<std::function<Status()>> Work;

extern "C" {

// For the test itself.
void fake_busy(int looks) { busy = looks; }
int fake_graphs(void) { return graphs; }
int fake_depth(void) { return depth; }  // of this thread's contexts
void fake_queue(int (*step)(void)) { queue.push_back([=] { return step(); }); }

Status cuCtxPushCurrent_v2(void *pushed) {
    FAILS_IF_TOLD
    depth++;
    return emulated_push(pushed);
}
Status cuCtxPopCurrent_v2(void **found) {
    if (depth-- == 0) return 201;
    return emulated_pop(found);
}
Status cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void *) {
    FAILS_IF_TOLD
    if (!inside(from, bytes) || (!integrated && !inside(to, bytes))) return INVALID;
    queue.push_back([=] { memcpy((void *)to, (void *)from, bytes); return SUCCESS; });
    return SUCCESS;
}
Status cuStreamQuery(void *) {
    FAILS_IF_TOLD
    return busy-- > 0 ? 600 : drain();
}
Status cuStreamWaitEvent(void *, void *, unsigned) { FAILS_IF_TOLD return SUCCESS; }

Status cuStreamBeginCapture_v2(void *, int mode) {
    FAILS_IF_TOLD
    captured_from = queue.size();
    return mode == 1 ? SUCCESS : INVALID;
}
Status cuStreamEndCapture(void *, void **graph) {
    FAILS_IF_TOLD
    *graph = new Work(queue.begin() + captured_from, queue.end());
    queue.resize(captured_from);
    graphs++;
    return SUCCESS;
}
Status cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long) {
    FAILS_IF_TOLD
    *executable = new Work(*(Work *)graph);
    graphs++;
    return SUCCESS;
}
Status cuGraphLaunch(void *executable, void *) {
    FAILS_IF_TOLD
    for (auto &step : *(Work *)executable) queue.push_back(step);
    return SUCCESS;
}
static Status gone(void *graph) {
    delete (Work *)graph;
    graphs--;
    return SUCCESS;
}
Status cuGraphDestroy(void *graph) { return gone(graph); }
Status cuGraphExecDestroy(void *executable) { return gone(executable); }
}
