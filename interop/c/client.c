/* What a C program does with ZooKeeper, against the server at ZK_HOSTPORT.
 *
 * Each test is a function that makes nodes below a name of its own; EXPECT counts. The server is
 * stopped and started through ZK_CONTROL (see interop/README.md).
 */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define WAIT_MS 15000

static int passed, failed;
static const char *hostport;

#define EXPECT(condition) expect((condition), #condition, __func__, __LINE__)

static void expect(int holds, const char *what, const char *where, int line) {
    if (holds) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s line %d: %s\n", where, line, what);
}

/* Events as they come, so that a test can wait for the next one. */
struct inbox {
    pthread_mutex_t lock;
    struct { int type, state; char path[256]; } events[64];
    int head, tail;
};

static struct inbox *new_inbox(void) {
    struct inbox *box = calloc(1, sizeof *box);
    pthread_mutex_init(&box->lock, NULL);
    return box;
}

static void note(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh;
    struct inbox *box = context;
    pthread_mutex_lock(&box->lock);
    int at = box->tail++ % 64;
    box->events[at].type = type;
    box->events[at].state = state;
    snprintf(box->events[at].path, sizeof box->events[at].path, "%s", path ? path : "");
    pthread_mutex_unlock(&box->lock);
}

/* The type of the next event for `path` ("" for session events, their state is the answer). */
static int next_event(struct inbox *box, const char *path) {
    for (int waited = 0; waited < WAIT_MS; waited += 10) {
        pthread_mutex_lock(&box->lock);
        while (box->head < box->tail) {
            int at = box->head++ % 64;
            if (strcmp(box->events[at].path, path) == 0) {
                int answer = *path ? box->events[at].type : box->events[at].state;
                pthread_mutex_unlock(&box->lock);
                return answer;
            }
        }
        pthread_mutex_unlock(&box->lock);
        usleep(10000);
    }
    return -1000;
}

static zhandle_t *resume(struct inbox *box, const clientid_t *id, int timeout_ms) {
    zhandle_t *zh = zookeeper_init(hostport, note, timeout_ms, id, box, 0);
    EXPECT(zh != NULL);
    return zh;
}

static zhandle_t *open_session(struct inbox *box) {
    zhandle_t *zh = resume(box, NULL, 10000);
    EXPECT(next_event(box, "") == ZOO_CONNECTED_STATE);
    return zh;
}

static void control(const char *word) {
    char host[64], line[256] = "";
    snprintf(host, sizeof host, "%s", getenv("ZK_CONTROL"));
    char *colon = strrchr(host, ':');
    *colon = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    EXPECT(getaddrinfo(host, colon + 1, &hints, &found) == 0);
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    EXPECT(connect(fd, found->ai_addr, found->ai_addrlen) == 0);
    dprintf(fd, "%s\n", word);
    EXPECT(read(fd, line, sizeof line - 1) > 0 && strncmp(line, "ok", 2) == 0);
    close(fd);
    freeaddrinfo(found);
}

static void nodes(void) {
    struct inbox *box = new_inbox();
    zhandle_t *zh = open_session(box);
    char path[256], data[64];
    struct Stat stat;
    struct String_vector children;
    int length = sizeof data;
    EXPECT(zoo_create(zh, "/n", "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path) == ZOK);
    EXPECT(strcmp(path, "/n") == 0);
    EXPECT(zoo_create(zh, "/n", "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZNODEEXISTS);
    EXPECT(zoo_create(zh, "/x/y", "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZNONODE);
    EXPECT(zoo_get(zh, "/n", 0, data, &length, &stat) == ZOK);
    EXPECT(length == 3 && memcmp(data, "one", 3) == 0 && stat.version == 0);
    EXPECT(zoo_set2(zh, "/n", "three", 5, 0, &stat) == ZOK && stat.version == 1);
    EXPECT(zoo_set(zh, "/n", "x", 1, 0) == ZBADVERSION);
    EXPECT(zoo_create2(zh, "/n/c", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, path, 256, &stat) == ZOK);
    EXPECT(stat.czxid == stat.mzxid && stat.dataLength == 0);
    length = sizeof data;
    EXPECT(zoo_get(zh, "/n/c", 0, data, &length, &stat) == ZOK && length == -1);
    EXPECT(zoo_get_children2(zh, "/n", 0, &children, &stat) == ZOK);
    EXPECT(children.count == 1 && strcmp(children.data[0], "c") == 0 && stat.numChildren == 1);
    deallocate_String_vector(&children);
    EXPECT(zoo_delete(zh, "/n", -1) == ZNOTEMPTY);
    EXPECT(zoo_delete(zh, "/n/c", 0) == ZOK && zoo_delete(zh, "/n", 1) == ZOK);
    EXPECT(zoo_exists(zh, "/n", 0, &stat) == ZNONODE);
    EXPECT(zookeeper_close(zh) == ZOK);
}

static void modes(void) {
    struct inbox *box = new_inbox();
    zhandle_t *zh = open_session(box);
    char path[256];
    struct Stat stat;
    EXPECT(zoo_create(zh, "/m", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
    for (int number = 0; number < 3; number++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "/m/s-%010d", number);
        int mode = ZOO_PERSISTENT_SEQUENTIAL;
        EXPECT(zoo_create(zh, "/m/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, mode, path, 256) == ZOK);
        EXPECT(strcmp(path, wanted) == 0);
    }
    EXPECT(zoo_create(zh, "/m/e", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, path, 256) == ZOK);
    EXPECT(zoo_exists(zh, "/m/e", 0, &stat) == ZOK);
    EXPECT(stat.ephemeralOwner == zoo_client_id(zh)->client_id);
    EXPECT(zoo_create(zh, "/m/e/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, 256)
           == ZNOCHILDRENFOREPHEMERALS);
    EXPECT(zoo_create(zh, "/m/k", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, path, 256) == ZOK);
    EXPECT(zoo_create2_ttl(zh, "/m/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 1000,
                           path, 256, &stat) == ZUNIMPLEMENTED);
    EXPECT(zookeeper_close(zh) == ZOK);
    zh = open_session(new_inbox());
    EXPECT(zoo_exists(zh, "/m/e", 0, &stat) == ZNONODE);
    EXPECT(zookeeper_close(zh) == ZOK);
}

static void watches(void) {
    struct inbox *box = new_inbox(), *events = new_inbox();
    zhandle_t *zh = open_session(box), *writer = open_session(new_inbox());
    struct Stat stat;
    struct String_vector children;
    char data[8];
    int length = sizeof data;
    EXPECT(zoo_wexists(zh, "/w", note, events, &stat) == ZNONODE);
    EXPECT(zoo_create(writer, "/w", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
    EXPECT(next_event(events, "/w") == ZOO_CREATED_EVENT);
    EXPECT(zoo_wget(zh, "/w", note, events, data, &length, &stat) == ZOK);
    EXPECT(zoo_set(writer, "/w", "1", 1, -1) == ZOK);
    EXPECT(next_event(events, "/w") == ZOO_CHANGED_EVENT);
    EXPECT(zoo_wget_children(zh, "/w", note, events, &children) == ZOK);
    EXPECT(zoo_create(writer, "/w/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
    EXPECT(next_event(events, "/w") == ZOO_CHILD_EVENT);
    EXPECT(zoo_wexists(zh, "/w/c", note, events, &stat) == ZOK);
    EXPECT(zoo_delete(writer, "/w/c", -1) == ZOK);
    EXPECT(next_event(events, "/w/c") == ZOO_DELETED_EVENT);
    length = sizeof data;
    EXPECT(zoo_wget(zh, "/w", note, events, data, &length, &stat) == ZOK);
    EXPECT(zoo_remove_watches(zh, "/w", ZWATCHTYPE_DATA, note, events, 0) == ZOK);
    EXPECT(zoo_remove_watches(zh, "/w", ZWATCHTYPE_DATA, note, events, 0) == ZNOWATCHER);
    EXPECT(zookeeper_close(zh) == ZOK && zookeeper_close(writer) == ZOK);
}

static void transactions(void) {
    zhandle_t *zh = open_session(new_inbox());
    char path[2][64];
    struct Stat stat;
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    zoo_create_op_init(&ops[0], "/t", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path[0], 64);
    zoo_create_op_init(&ops[1], "/t/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, path[1], 64);
    zoo_set_op_init(&ops[2], "/t", "22", 2, 0, &stat);
    zoo_check_op_init(&ops[3], "/t", 1);
    zoo_delete_op_init(&ops[4], "/t/s-0000000000", -1);
    EXPECT(zoo_multi(zh, 5, ops, results) == ZOK);
    EXPECT(strcmp(path[1], "/t/s-0000000000") == 0 && stat.version == 1 && stat.dataLength == 2);
    zoo_set_op_init(&ops[0], "/t", "3", 1, -1, &stat);
    zoo_check_op_init(&ops[1], "/t", 7);
    zoo_delete_op_init(&ops[2], "/t", -1);
    EXPECT(zoo_multi(zh, 3, ops, results) == ZBADVERSION);
    EXPECT(results[0].err == ZOK && results[1].err == ZBADVERSION);
    EXPECT(results[2].err == ZRUNTIMEINCONSISTENCY);
    EXPECT(zoo_exists(zh, "/t", 0, &stat) == ZOK && stat.version == 1);
    EXPECT(zookeeper_close(zh) == ZOK);
}

static int auth_result = 1;

static void auth_done(int rc, const void *unused) {
    (void)unused;
    __atomic_store_n(&auth_result, rc, __ATOMIC_SEQ_CST);
}

static int authenticate(zhandle_t *zh, const char *scheme, const char *cert) {
    __atomic_store_n(&auth_result, 1, __ATOMIC_SEQ_CST);
    zoo_add_auth(zh, scheme, cert, strlen(cert), auth_done, NULL);
    for (int waited = 0; waited < WAIT_MS; waited += 10) {
        int rc = __atomic_load_n(&auth_result, __ATOMIC_SEQ_CST);
        if (rc != 1)
            return rc;
        usleep(10000);
    }
    return 1;
}

static void access_lists(void) {
    zhandle_t *owner = open_session(new_inbox()), *other = open_session(new_inbox());
    struct ACL_vector acl;
    struct Stat stat;
    char data[8];
    int length = sizeof data;
    EXPECT(zoo_create(owner, "/acl", "", 0, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0) == ZINVALIDACL);
    EXPECT(authenticate(owner, "digest", "bob:pw") == ZOK);
    EXPECT(zoo_create(owner, "/acl", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0) == ZOK);
    EXPECT(zoo_get(other, "/acl", 0, data, &length, &stat) == ZNOAUTH);
    EXPECT(zoo_get_acl(owner, "/acl", &acl, &stat) == ZOK && acl.count == 1);
    EXPECT(strcmp(acl.data[0].id.id, "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=") == 0);
    deallocate_ACL_vector(&acl);
    EXPECT(authenticate(other, "digest", "bob:pw") == ZOK);
    EXPECT(zoo_get(other, "/acl", 0, data, &length, &stat) == ZOK);
    EXPECT(zoo_set_acl(owner, "/acl", 0, &ZOO_READ_ACL_UNSAFE) == ZOK);
    EXPECT(zoo_set(owner, "/acl", "y", 1, -1) == ZNOAUTH);
    EXPECT(authenticate(other, "nonsense", "x") == ZAUTHFAILED);
    EXPECT(zookeeper_close(owner) == ZOK);
    zookeeper_close(other);
}

/* A second handle with the first one's id and password takes the session over. */
static void resumed_session(void) {
    struct inbox *box = new_inbox(), *again_box = new_inbox();
    zhandle_t *zh = open_session(box);
    struct Stat stat;
    EXPECT(zoo_create(zh, "/r", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0) == ZOK);
    clientid_t id = *zoo_client_id(zh);
    zhandle_t *again = resume(again_box, &id, 10000);
    EXPECT(next_event(again_box, "") == ZOO_CONNECTED_STATE);
    EXPECT(zoo_client_id(again)->client_id == id.client_id);
    EXPECT(zoo_exists(again, "/r", 0, &stat) == ZOK && stat.ephemeralOwner == id.client_id);
    EXPECT(zookeeper_close(again) == ZOK);
    zookeeper_close(zh);
    id.passwd[0] ^= 1;
    struct inbox *wrong_box = new_inbox();
    zhandle_t *wrong = resume(wrong_box, &id, 10000);
    EXPECT(next_event(wrong_box, "") == ZOO_EXPIRED_SESSION_STATE);
    zookeeper_close(wrong);
}

/* The library reconnects by itself, sets its watches again, and learns what it missed. */
static void restarted_server(void) {
    struct inbox *box = new_inbox(), *events = new_inbox();
    zhandle_t *zh = open_session(box);
    struct Stat stat;
    char data[8];
    int length = sizeof data;
    int64_t id = zoo_client_id(zh)->client_id;
    EXPECT(zoo_create(zh, "/z", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
    EXPECT(zoo_create(zh, "/z/e", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0) == ZOK);
    EXPECT(zoo_wget(zh, "/z", note, events, data, &length, &stat) == ZOK);
    control("restart");
    EXPECT(next_event(box, "") == ZOO_CONNECTING_STATE
           || next_event(box, "") == ZOO_CONNECTED_STATE);
    int rc = ZCONNECTIONLOSS;
    for (int tries = 0; tries < 100 && rc == ZCONNECTIONLOSS; tries++) {
        rc = zoo_exists(zh, "/z/e", 0, &stat);
        usleep(100000);
    }
    EXPECT(rc == ZOK && stat.ephemeralOwner == id && zoo_client_id(zh)->client_id == id);
    EXPECT(zoo_set(zh, "/z", "1", 1, -1) == ZOK);
    EXPECT(next_event(events, "/z") == ZOO_CHANGED_EVENT);
    EXPECT(zookeeper_close(zh) == ZOK);
}

int main(void) {
    hostport = getenv("ZK_HOSTPORT");
    if (hostport == NULL || getenv("ZK_CONTROL") == NULL) {
        fprintf(stderr, "could not run: start it with servers.py exec\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    FILE *quiet = fopen("/dev/null", "w");
    zoo_set_log_stream(quiet);
    nodes();
    modes();
    watches();
    transactions();
    access_lists();
    resumed_session();
    restarted_server();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
