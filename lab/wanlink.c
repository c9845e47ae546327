/* A wide-area link in user space, between two TUN devices.
 *
 * This is what `tc netem` does where the kernel has it: each direction has a rate, a drop-tail
 * queue in packets, a one-way delay, jitter, random or bursty (Gilbert-Elliott) loss, reordering
 * and duplication, all from one seed. The devices are made here; the caller moves each into a
 * network namespace and gives it an address. A packet pays, in this order:
 *
 *   queue full? -> dropped;  serialised at the rate;  lost?;  delay + jitter (+ reorder extra)
 *
 * The devices do what network cards do, because one system call for each packet would make the
 * link the bottleneck of a gigabit: they take UDP segments as one send (USO) and cut them here,
 * before all of the above, leave checksums to the card, and hand on what arrives within 50 us
 * together, equally long packets of one flow as one.
 *
 * usage: wanlink NAME_A NAME_B [KEY=VALUE ...]
 *   delay_ms= one way    rate_mbit= (0: unlimited)   queue= packets
 *   loss= probability    burst= mean length of a loss burst, packets (1: independent losses)
 *   jitter_ms= uniform   reorder= probability of reorder_ms= extra delay   dup= probability
 *   seed=                Keys apply to both directions; prefix with a. (A to B) or b. (B to A).
 *
 * Prints "ready" when both devices exist, and its counters as JSON at SIGTERM, SIGINT or at the
 * end of standard input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define MAX_PACKET 65600
#define MAX_TOGETHER 44 /* packets of one hand-over; some 64 KB of Ethernet's size */
#define COALESCE_NS 50000
#define NS_PER_MS 1000000.0
#define UDP_HEADER 8

typedef struct virtio_net_hdr VirtioHeader;

typedef struct {
    int64_t due;    /* when it leaves the link, ns */
    uint64_t order; /* ties keep their order */
    int length;
    unsigned char *bytes; /* VirtioHeader, then `length` bytes of IP packet */
} Packet;

typedef struct {
    double delay, jitter, reorder_extra; /* ns */
    double rate;                         /* bits per ns; 0: unlimited */
    double loss, burst, reorder, dup;
    long queue;
    uint64_t random;
    /* state */
    int lossy;             /* Gilbert-Elliott: in the bad state */
    int64_t busy_until;    /* the last queued packet is serialised by then */
    int64_t *departures;   /* ring of serialisation ends: the queue's length in packets */
    long first, count;
    Packet *heap;
    long size, capacity;
    uint64_t order;
    uint64_t forwarded, bytes, queue_drops, losses, reordered, duplicated, longest_queue;
} Direction;

static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* xorshift64*: good enough for dice, and the same everywhere. */
static double dice(Direction *d) {
    d->random ^= d->random >> 12;
    d->random ^= d->random << 25;
    d->random ^= d->random >> 27;
    return (double)((d->random * 2685821657736338717ULL) >> 11) / 9007199254740992.0;
}

static int earlier(const Packet *x, const Packet *y) {
    return x->due != y->due ? x->due < y->due : x->order < y->order;
}

static void heap_push(Direction *d, Packet packet) {
    if (d->size == d->capacity) {
        d->capacity = d->capacity ? d->capacity * 2 : 1024;
        d->heap = realloc(d->heap, (size_t)d->capacity * sizeof(Packet));
        if (!d->heap) abort();
    }
    long i = d->size++;
    while (i > 0 && earlier(&packet, &d->heap[(i - 1) / 2])) {
        d->heap[i] = d->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    d->heap[i] = packet;
}

static Packet heap_pop(Direction *d) {
    Packet top = d->heap[0], last = d->heap[--d->size];
    long i = 0;
    for (;;) {
        long child = 2 * i + 1;
        if (child >= d->size) break;
        if (child + 1 < d->size && earlier(&d->heap[child + 1], &d->heap[child])) child++;
        if (!earlier(&d->heap[child], &last)) break;
        d->heap[i] = d->heap[child];
        i = child;
    }
    if (d->size) d->heap[i] = last;
    return top;
}

/* Gilbert-Elliott with loss 1 in the bad state: mean burst length `burst`, long-run rate `loss`. */
static int is_lost(Direction *d) {
    if (d->loss <= 0) return 0;
    if (d->burst <= 1) return dice(d) < d->loss;
    double leave = 1 / d->burst, enter = leave * d->loss / (1 - d->loss);
    d->lossy = d->lossy ? dice(d) >= leave : dice(d) < enter;
    return d->lossy;
}

static void schedule(Direction *d, const VirtioHeader *header, const unsigned char *bytes,
                     int length, int64_t due) {
    Packet packet = {due, d->order++, length, malloc(sizeof *header + (size_t)length)};
    if (!packet.bytes) abort();
    memcpy(packet.bytes, header, sizeof *header);
    memcpy(packet.bytes + sizeof *header, bytes, (size_t)length);
    heap_push(d, packet);
}

static void enter_link(Direction *d, const VirtioHeader *header, const unsigned char *bytes,
                       int length, int64_t now) {
    while (d->count && d->departures[d->first] <= now) {
        d->first = (d->first + 1) % d->queue;
        d->count--;
    }
    if (d->count >= d->queue) {
        d->queue_drops++;
        return;
    }
    int64_t start = d->busy_until > now ? d->busy_until : now;
    d->busy_until = start + (d->rate > 0 ? (int64_t)(length * 8 / d->rate) : 0);
    d->departures[(d->first + d->count++) % d->queue] = d->busy_until;
    if ((uint64_t)d->count > d->longest_queue) d->longest_queue = (uint64_t)d->count;
    if (is_lost(d)) {
        d->losses++;
        return;
    }
    int64_t due = d->busy_until + (int64_t)(d->delay + d->jitter * dice(d));
    if (d->reorder > 0 && dice(d) < d->reorder) {
        d->reordered++;
        due += (int64_t)d->reorder_extra;
    }
    schedule(d, header, bytes, length, due);
    if (d->dup > 0 && dice(d) < d->dup) {
        d->duplicated++;
        schedule(d, header, bytes, length, due);
    }
}

static uint32_t sum16(const unsigned char *bytes, int length, uint32_t sum) {
    for (int i = 0; i + 1 < length; i += 2) sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

static void put16(unsigned char *at, uint32_t value) {
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

static uint16_t folded(uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* Bytes of the IP header of a UDP packet that is no fragment; 0 for everything else. */
static int udp_offset(const unsigned char *ip, int length) {
    if (length < 48 || (ip[0] >> 4 == 4 && (ip[9] != 17 || ((ip[6] & 0x3f) | ip[7])))) return 0;
    if (ip[0] >> 4 == 4) return (ip[0] & 15) * 4;
    return ip[0] >> 4 == 6 && ip[6] == 17 ? 40 : 0;
}

/* Write the lengths of a UDP packet into its headers, and what of the checksums depends on them:
 * the IP header's, and of UDP's the pseudo header; the rest is the card's (RFC 768, RFC 1071). */
static void set_length(VirtioHeader *header, unsigned char *ip, int offset, int length) {
    unsigned char *udp = ip + offset;
    int payload = length - offset;
    uint32_t pseudo;
    if (ip[0] >> 4 == 4) {
        put16(ip + 2, (uint32_t)length);
        put16(ip + 10, 0);
        put16(ip + 10, (uint16_t)~folded(sum16(ip, offset, 0)));
        pseudo = sum16(ip + 12, 8, 0);
    } else {
        put16(ip + 4, (uint32_t)payload);
        pseudo = sum16(ip + 8, 32, 0);
    }
    put16(udp + 4, (uint32_t)payload);
    put16(udp + 6, folded(pseudo + 17 + (uint32_t)payload));
    memset(header, 0, sizeof *header);
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = (uint16_t)offset;
    header->csum_offset = 6;
}

/* What one read of the device gave: a packet, or a run of UDP segments to be cut into packets. */
static void arrive(Direction *d, const unsigned char *bytes, int length, int64_t now) {
    VirtioHeader header;
    memcpy(&header, bytes, sizeof header);
    bytes += sizeof header;
    length -= (int)sizeof header;
    int offset = udp_offset(bytes, length);
    if (header.gso_type != VIRTIO_NET_HDR_GSO_UDP_L4 || !offset || !header.gso_size) {
        enter_link(d, &header, bytes, length, now);
        return;
    }
    static unsigned char packet[MAX_PACKET];
    int headers = offset + UDP_HEADER, segment = header.gso_size;
    memcpy(packet, bytes, (size_t)headers);
    uint32_t id = (uint32_t)bytes[4] << 8 | bytes[5];
    for (int at = headers; at < length; at += segment) {
        int size = length - at < segment ? length - at : segment;
        if (bytes[0] >> 4 == 4) put16(packet + 4, id++);
        memcpy(packet + headers, bytes + at, (size_t)size);
        set_length(&header, packet, offset, headers + size);
        enter_link(d, &header, packet, headers + size, now);
    }
}

/* Whether `next` may follow `first` in one hand-over: same addresses and ports, not longer. */
static int same_flow(const Packet *first, const Packet *next, int offset) {
    const unsigned char *x = first->bytes + sizeof(VirtioHeader);
    const unsigned char *y = next->bytes + sizeof(VirtioHeader);
    int addresses = x[0] >> 4 == 4 ? 12 : 8;
    return next->length <= first->length && udp_offset(y, next->length) == offset &&
           !memcmp(x + addresses, y + addresses, (size_t)(offset + 4 - addresses));
}

static void hand_on(Direction *d, int out, Packet packet, int64_t now) {
    static unsigned char run[sizeof(VirtioHeader) + MAX_PACKET];
    unsigned char *ip = run + sizeof(VirtioHeader);
    VirtioHeader header;
    int offset = udp_offset(packet.bytes + sizeof header, packet.length);
    int headers = offset + UDP_HEADER, count = 1, length = packet.length, last = length;
    memcpy(run, packet.bytes, sizeof header + (size_t)length);
    while (offset && count < MAX_TOGETHER && last == packet.length && d->size &&
           d->heap[0].due <= now && same_flow(&packet, &d->heap[0], offset) &&
           length + d->heap[0].length - headers < 65536) {
        Packet next = heap_pop(d);
        last = next.length;
        memcpy(ip + length, next.bytes + sizeof header + headers, (size_t)(last - headers));
        length += last - headers;
        count++;
        free(next.bytes);
    }
    if (count > 1) {
        set_length(&header, ip, offset, length);
        header.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
        header.gso_size = (uint16_t)(packet.length - headers);
        header.hdr_len = (uint16_t)headers;
        memcpy(run, &header, sizeof header);
    }
    if (write(out, run, sizeof header + (size_t)length) > 0) {
        d->forwarded += (uint64_t)count;
        d->bytes += (uint64_t)(length + (count - 1) * headers);
    }
    free(packet.bytes);
}

static void deliver(Direction *d, int out, int64_t now) {
    while (d->size && d->heap[0].due <= now) hand_on(d, out, heap_pop(d), now);
}

static int open_tun(const char *name) {
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {0};
    request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_NAPI | IFF_VNET_HDR;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        fprintf(stderr, "wanlink: cannot make %s: %s\n", name, strerror(errno));
        exit(1);
    }
    /* Kernels before 6.2 know no USO: they cut the segments themselves. */
    if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6) < 0)
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM);
    return fd;
}

static int set(Direction *d, const char *key, double value) {
    if (!strcmp(key, "delay_ms")) d->delay = value * NS_PER_MS;
    else if (!strcmp(key, "rate_mbit")) d->rate = value / 1000;
    else if (!strcmp(key, "queue")) d->queue = (long)value;
    else if (!strcmp(key, "loss")) d->loss = value;
    else if (!strcmp(key, "burst")) d->burst = value;
    else if (!strcmp(key, "jitter_ms")) d->jitter = value * NS_PER_MS;
    else if (!strcmp(key, "reorder")) d->reorder = value;
    else if (!strcmp(key, "reorder_ms")) d->reorder_extra = value * NS_PER_MS;
    else if (!strcmp(key, "dup")) d->dup = value;
    else if (!strcmp(key, "seed")) d->random = (uint64_t)value * 2654435769u + 88172645463325252u;
    else return 0;
    return 1;
}

static void report(const char *name, const Direction *d) {
    printf("\"%s\": {\"forwarded\": %lu, \"bytes\": %lu, \"queue_drops\": %lu, \"losses\": %lu, "
           "\"reordered\": %lu, \"duplicated\": %lu, \"longest_queue\": %lu}",
           name, d->forwarded, d->bytes, d->queue_drops, d->losses, d->reordered, d->duplicated,
           d->longest_queue);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: wanlink NAME_A NAME_B [KEY=VALUE ...]\n");
        return 2;
    }
    Direction link[2];
    memset(link, 0, sizeof link);
    for (int i = 0; i < 2; i++) {
        link[i].queue = 1000;
        link[i].random = 88172645463325252u + (uint64_t)i;
    }
    for (int i = 3; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals) goto wrong;
        *equals = 0;
        double value = atof(equals + 1);
        int only = !strncmp(argv[i], "a.", 2) ? 0 : !strncmp(argv[i], "b.", 2) ? 1 : -1;
        for (int k = 0; k < 2; k++)
            if ((only < 0 || only == k) && !set(&link[k], argv[i] + (only < 0 ? 0 : 2), value)) {
            wrong:
                fprintf(stderr, "wanlink: cannot read '%s'\n", argv[i]);
                return 2;
            }
    }
    for (int i = 0; i < 2; i++) {
        link[i].random += (uint64_t)i * 7919;
        if (link[i].queue < 1) link[i].queue = 1;
        link[i].departures = calloc((size_t)link[i].queue, sizeof(int64_t));
        if (!link[i].departures) abort();
    }
    int tun[2] = {open_tun(argv[1]), open_tun(argv[2])};
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    /* A link does not wait for a processor: without this it stalls whenever an end is busy. */
    struct sched_param priority = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &priority);
    printf("ready\n");
    fflush(stdout);

    static unsigned char buffer[sizeof(VirtioHeader) + MAX_PACKET];
    while (!stopping) {
        int64_t now = now_ns(), next = now + 1000000000;
        for (int i = 0; i < 2; i++)
            if (link[i].size && link[i].heap[0].due + COALESCE_NS < next)
                next = link[i].heap[0].due + COALESCE_NS;
        struct pollfd fds[3] = {{tun[0], POLLIN, 0}, {tun[1], POLLIN, 0}, {0, POLLIN, 0}};
        struct timespec wait = {0, 0};
        if (next > now) {
            wait.tv_sec = (next - now) / 1000000000;
            wait.tv_nsec = (next - now) % 1000000000;
        }
        if (ppoll(fds, 3, &wait, NULL) < 0 && errno != EINTR) break;
        if (fds[2].revents && read(0, buffer, sizeof buffer) <= 0) break;
        for (int i = 0; i < 2; i++) {
            /* A bounded batch, so that deliveries are never late behind a flood of arrivals. */
            for (int n = 0; n < 64; n++) {
                ssize_t length = read(tun[i], buffer, sizeof buffer);
                if (length <= (ssize_t)sizeof(VirtioHeader)) break;
                arrive(&link[i], buffer, (int)length, now_ns());
            }
            deliver(&link[0], tun[1], now_ns());
            deliver(&link[1], tun[0], now_ns());
        }
    }
    printf("{");
    report("a_to_b", &link[0]);
    printf(", ");
    report("b_to_a", &link[1]);
    printf("}\n");
    return 0;
}
