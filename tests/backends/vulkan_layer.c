// A Vulkan layer that makes a driver fail on request, so that the faults of real GPUs can be had on any machine. It stands between the
// loader and the driver: the program under test runs unchanged.
//
//     cc -shared -fPIC -Wl,-z,nodelete -o libfaults.so vulkan_layer.c        (tests/cli/faults.rs does it, and writes the manifest)
//     FAULT_SUBMIT=40,90      the 40th and the 90th submission of the process lose their device
//     FAULT_WAIT=12           the 12th wait for the device does
//     FAULT_ALLOCATION=3      the 3rd allocation finds no memory
//     FAULT_DISPATCH_US=500   each dispatch makes its submission last 500 microseconds longer
//     FAULT_LOG=FILE          a line for each submission: the dispatches in it
//
// Counters count the whole process, for which the library must stay loaded when an instance goes. A lost device stays lost; one that is
// created after it works. The loader's interface is declared
// here as far as it is used, so that no headers are needed. Not for several threads, as the program submits from one.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int32_t VkResult;
typedef void (*Function)(void);
typedef Function (*GetProcAddr)(void *, const char *);

enum { SUCCESS = 0, OUT_OF_DEVICE_MEMORY = -2, INITIALIZATION_FAILED = -3, DEVICE_LOST = -4 };
enum { LOADER_INSTANCE_CREATE_INFO = 47, LOADER_DEVICE_CREATE_INFO = 48, LAYER_LINK_INFO = 0 };

// VkLayerInstanceLink and VkLayerDeviceLink: the second function differs in what it is for, not in its type.
typedef struct Link {
    struct Link *next;
    GetProcAddr get_instance_proc_addr;
    GetProcAddr other_proc_addr;
} Link;

// VkLayerInstanceCreateInfo and VkLayerDeviceCreateInfo.
typedef struct CreateInfo {
    uint32_t type;
    struct CreateInfo *next;
    uint32_t function;
    Link *link;
} CreateInfo;

// VkSubmitInfo.
typedef struct {
    uint32_t type;
    const void *next;
    uint32_t wait_count;
    const void *waits, *stages;
    uint32_t command_buffer_count;
    void *const *command_buffers;
    uint32_t signal_count;
    const void *signals;
} SubmitInfo;

// VkNegotiateLayerInterface.
typedef struct {
    uint32_t type;
    void *next;
    uint32_t version;
    GetProcAddr get_instance_proc_addr, get_device_proc_addr, get_physical_device_proc_addr;
} Negotiation;

static GetProcAddr next_instance_proc_addr, next_device_proc_addr;
static int lost;

// Whether `count` is in the comma-separated list of the variable `name`.
static int is_due(const char *name, unsigned long count) {
    const char *list = getenv(name);
    while (list && *list) {
        char *end;
        if (strtoul(list, &end, 10) == count) return 1;
        list = *end ? end + 1 : end;
    }
    return 0;
}

static unsigned long number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

// Dispatches recorded in each command buffer since it was begun.
static struct { void *buffer; unsigned long count; } recorded[4096];

static unsigned long *dispatches(void *buffer) {
    size_t place = ((uintptr_t)buffer >> 4) % 4096;
    while (recorded[place].buffer && recorded[place].buffer != buffer) place = (place + 1) % 4096;
    recorded[place].buffer = buffer;
    return &recorded[place].count;
}

static Function next(void *device, const char *name) { return next_device_proc_addr(device, name); }

// Functions of a device are looked up once: the tests use one driver.
static VkResult (*next_begin)(void *, const void *);
static void (*next_dispatch)(void *, uint32_t, uint32_t, uint32_t);
static VkResult (*next_submit)(void *, uint32_t, const SubmitInfo *, uint64_t);
static VkResult (*next_wait)(void *, const void *, uint64_t);
static VkResult (*next_counter)(void *, uint64_t, uint64_t *);
static VkResult (*next_allocate)(void *, const void *, const void *, uint64_t *);

static VkResult begin_command_buffer(void *buffer, const void *info) {
    *dispatches(buffer) = 0;
    return next_begin(buffer, info);
}

static void cmd_dispatch(void *buffer, uint32_t x, uint32_t y, uint32_t z) {
    ++*dispatches(buffer);
    next_dispatch(buffer, x, y, z);
}

static VkResult queue_submit(void *queue, uint32_t count, const SubmitInfo *submits, uint64_t fence) {
    static unsigned long calls;
    unsigned long total = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < submits[i].command_buffer_count; j++) total += *dispatches(submits[i].command_buffers[j]);
    const char *log = getenv("FAULT_LOG");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) {
        fprintf(file, "%lu\n", total);
        fclose(file);
    }
    lost |= is_due("FAULT_SUBMIT", ++calls);
    if (lost) return DEVICE_LOST;
    unsigned long delay = total * number("FAULT_DISPATCH_US");
    if (delay) {
        sleep(delay / 1000000);
        usleep(delay % 1000000);
    }
    return next_submit(queue, count, submits, fence);
}

static VkResult wait_semaphores(void *device, const void *info, uint64_t timeout) {
    static unsigned long calls;
    lost |= is_due("FAULT_WAIT", ++calls);
    return lost ? DEVICE_LOST : next_wait(device, info, timeout);
}

static VkResult get_semaphore_counter_value(void *device, uint64_t semaphore, uint64_t *value) {
    return lost ? DEVICE_LOST : next_counter(device, semaphore, value);
}

static VkResult allocate_memory(void *device, const void *info, const void *callbacks, uint64_t *memory) {
    static unsigned long calls;
    return is_due("FAULT_ALLOCATION", ++calls) ? OUT_OF_DEVICE_MEMORY : next_allocate(device, info, callbacks, memory);
}

static CreateInfo *link_info(const void *create_info, uint32_t type) {
    CreateInfo *info = ((CreateInfo *)create_info)->next;
    while (info && !(info->type == type && info->function == LAYER_LINK_INFO)) info = info->next;
    return info;
}

static VkResult create_instance(const void *create_info, const void *callbacks, void **instance) {
    CreateInfo *info = link_info(create_info, LOADER_INSTANCE_CREATE_INFO);
    if (!info) return INITIALIZATION_FAILED;
    next_instance_proc_addr = info->link->get_instance_proc_addr;
    info->link = info->link->next;
    VkResult (*create)(const void *, const void *, void **) = (void *)next_instance_proc_addr(NULL, "vkCreateInstance");
    return create(create_info, callbacks, instance);
}

static VkResult create_device(void *physical_device, const void *create_info, const void *callbacks, void **device) {
    CreateInfo *info = link_info(create_info, LOADER_DEVICE_CREATE_INFO);
    if (!info) return INITIALIZATION_FAILED;
    GetProcAddr get_instance_proc_addr = info->link->get_instance_proc_addr;
    next_device_proc_addr = info->link->other_proc_addr;
    info->link = info->link->next;
    VkResult (*create)(void *, const void *, const void *, void **) = (void *)get_instance_proc_addr(NULL, "vkCreateDevice");
    VkResult result = create(physical_device, create_info, callbacks, device);
    if (result != SUCCESS) return result;
    lost = 0;
    next_begin = (void *)next(*device, "vkBeginCommandBuffer");
    next_dispatch = (void *)next(*device, "vkCmdDispatch");
    next_submit = (void *)next(*device, "vkQueueSubmit");
    next_wait = (void *)next(*device, "vkWaitSemaphores");
    next_counter = (void *)next(*device, "vkGetSemaphoreCounterValue");
    next_allocate = (void *)next(*device, "vkAllocateMemory");
    return SUCCESS;
}

static Function own(const char *name, int of_device);

static Function get_device_proc_addr(void *device, const char *name) {
    Function function = own(name, 1);
    return function ? function : next(device, name);
}

static Function get_instance_proc_addr(void *instance, const char *name) {
    Function function = own(name, 0);
    return function ? function : next_instance_proc_addr(instance, name);
}

static Function own(const char *name, int of_device) {
    static const struct { const char *name; Function function; int of_device; } table[] = {
        {"vkCreateInstance", (Function)create_instance, 0},
        {"vkCreateDevice", (Function)create_device, 0},
        {"vkGetInstanceProcAddr", (Function)get_instance_proc_addr, 0},
        {"vkGetDeviceProcAddr", (Function)get_device_proc_addr, 1},
        {"vkBeginCommandBuffer", (Function)begin_command_buffer, 1},
        {"vkCmdDispatch", (Function)cmd_dispatch, 1},
        {"vkQueueSubmit", (Function)queue_submit, 1},
        {"vkWaitSemaphores", (Function)wait_semaphores, 1},
        {"vkGetSemaphoreCounterValue", (Function)get_semaphore_counter_value, 1},
        {"vkAllocateMemory", (Function)allocate_memory, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0 && (table[i].of_device || !of_device)) return table[i].function;
    return NULL;
}

__attribute__((visibility("default"))) VkResult vkNegotiateLoaderLayerInterfaceVersion(Negotiation *interface) {
    interface->version = 2;
    interface->get_instance_proc_addr = get_instance_proc_addr;
    interface->get_device_proc_addr = get_device_proc_addr;
    interface->get_physical_device_proc_addr = NULL;
    return SUCCESS;
}
