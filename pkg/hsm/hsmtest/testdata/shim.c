/* A PKCS#11 v2.40 module that passes everything to another module and fails on demand.
 *
 * Built per test with -DMODULE="..." (the real module), -DORDERS="..." (a text file), -DCOUNTS="..." (a file of 68
 * unsigned longs, mapped: how often each function was called) and -DGATE="..." (a FIFO).
 * A line of ORDERS is "<what> <hex number> <delay in ms> <times>"; times counts down, negative is for ever.
 *   C_xxx       that function waits, then returns the number (0: only waits)
 *   hang        C_Sign waits until somebody opens GATE for writing, then works
 *   corrupt     C_Sign flips one bit of the signature
 *   extractable CKA_EXTRACTABLE reads as true
 *   sessions    the token reports the number as its limit of read/write sessions
 *   flags       the token reports the number as additional token flags
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

typedef unsigned long ck;
typedef struct { ck type; void *value; ck len; } attribute;
typedef struct {
	unsigned char label[32], maker[32], model[16], serial[16];
	ck flags, max_sessions, sessions, max_rw_sessions, rw_sessions;
} token_info; /* the head of CK_TOKEN_INFO */
typedef ck (*fn)();
typedef struct { unsigned char major, minor; fn f[68]; } list; /* CK_FUNCTION_LIST: pkcs11f.h's order */
enum { Initialize, Finalize, GetFunctionList = 3, GetSlotList = 4, GetTokenInfo = 6, OpenSession = 12, GetSessionInfo = 15,
       Login = 18, GetAttributeValue = 24, FindObjectsInit = 26, SignInit = 42, Sign = 43, GenerateKeyPair = 59 };

static list ours;
static list *real;
static ck *counts;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

/* order takes one turn of the first live line for what. */
static int order(const char *what, ck *number)
{
	char out[8192] = "", line[256];
	unsigned delay = 0;
	int hit = 0;
	pthread_mutex_lock(&mu);
	FILE *f = fopen(ORDERS, "r+");
	if (f) {
		flock(fileno(f), LOCK_EX); /* the test writes, too */
		while (fgets(line, sizeof line, f)) {
			char name[64];
			ck n;
			unsigned ms;
			int times;
			if (!hit && sscanf(line, "%63s %lx %u %d", name, &n, &ms, &times) == 4 && !strcmp(name, what) && times) {
				hit = 1;
				*number = n;
				delay = ms;
				if (times > 0)
					snprintf(line, sizeof line, "%s %lx %u %d\n", name, n, ms, times - 1);
			}
			strncat(out, line, sizeof out - strlen(out) - 1);
		}
		if (hit) {
			rewind(f);
			ftruncate(fileno(f), 0);
			fputs(out, f);
		}
		fclose(f);
	}
	pthread_mutex_unlock(&mu);
	if (delay)
		usleep(delay * 1000);
	return hit;
}

/* gate counts the call and answers whether it has to fail. */
static int gate(int which, const char *what, ck *rv)
{
	__atomic_add_fetch(&counts[which], 1, __ATOMIC_SEQ_CST);
	return order(what, rv) && *rv;
}

static ck initialize(void *a) { ck r; return gate(Initialize, "C_Initialize", &r) ? r : real->f[Initialize](a); }
static ck finalize(void *a) { ck r; return gate(Finalize, "C_Finalize", &r) ? r : real->f[Finalize](a); }
static ck get_slot_list(unsigned char a, ck *b, ck *c) { ck r; return gate(GetSlotList, "C_GetSlotList", &r) ? r : real->f[GetSlotList](a, b, c); }
static ck open_session(ck a, ck b, void *c, void *d, ck *e) { ck r; return gate(OpenSession, "C_OpenSession", &r) ? r : real->f[OpenSession](a, b, c, d, e); }
static ck get_session_info(ck a, void *b) { ck r; return gate(GetSessionInfo, "C_GetSessionInfo", &r) ? r : real->f[GetSessionInfo](a, b); }
static ck login(ck a, ck b, void *c, ck d) { ck r; return gate(Login, "C_Login", &r) ? r : real->f[Login](a, b, c, d); }
static ck find_objects_init(ck a, void *b, ck c) { ck r; return gate(FindObjectsInit, "C_FindObjectsInit", &r) ? r : real->f[FindObjectsInit](a, b, c); }
static ck sign_init(ck a, void *b, ck c) { ck r; return gate(SignInit, "C_SignInit", &r) ? r : real->f[SignInit](a, b, c); }
static ck generate(ck a, void *b, attribute *c, ck d, attribute *e, ck f, ck *g, ck *h)
{
	ck r;
	return gate(GenerateKeyPair, "C_GenerateKeyPair", &r) ? r : real->f[GenerateKeyPair](a, b, c, d, e, f, g, h);
}

static ck get_token_info(ck a, token_info *b)
{
	ck r;
	if (gate(GetTokenInfo, "C_GetTokenInfo", &r))
		return r;
	ck rv = real->f[GetTokenInfo](a, b);
	if (!rv && order("sessions", &r))
		b->max_rw_sessions = r;
	if (!rv && order("flags", &r))
		b->flags |= r;
	return rv;
}

static ck get_attribute_value(ck a, ck b, attribute *c, ck d)
{
	ck r, rv = real->f[GetAttributeValue](a, b, c, d);
	for (ck i = 0; !rv && i < d; i++)
		if (c[i].type == 0x162 && c[i].value && order("extractable", &r)) /* CKA_EXTRACTABLE */
			*(unsigned char *)c[i].value = 1;
	return rv;
}

static ck sign(ck a, unsigned char *b, ck c, unsigned char *d, ck *e)
{
	ck r, rv;
	if (!d) /* asked for the length only */
		return real->f[Sign](a, b, c, d, e);
	if (order("hang", &r)) {
		int fd = open(GATE, O_RDONLY);
		if (fd >= 0)
			close(fd);
	}
	int fail = gate(Sign, "C_Sign", &r);
	rv = real->f[Sign](a, b, c, d, e); /* ends the operation even when we fail it, as a token does */
	if (fail)
		return r;
	if (!rv && order("corrupt", &r))
		d[*e / 2] ^= 1;
	return rv;
}

ck C_GetFunctionList(list **out)
{
	if (!real) {
		void *h = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
		int fd = open(COUNTS, O_RDWR);
		ck (*get)(list **) = h ? (ck(*)(list **))dlsym(h, "C_GetFunctionList") : NULL;
		if (!get || fd < 0 || get(&real))
			return 5; /* CKR_GENERAL_ERROR */
		counts = mmap(NULL, sizeof(ck) * 68, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
		if (counts == MAP_FAILED)
			return 5;
		ours = *real;
		ours.f[GetFunctionList] = (fn)C_GetFunctionList;
		ours.f[Initialize] = (fn)initialize;
		ours.f[Finalize] = (fn)finalize;
		ours.f[GetSlotList] = (fn)get_slot_list;
		ours.f[GetTokenInfo] = (fn)get_token_info;
		ours.f[OpenSession] = (fn)open_session;
		ours.f[GetSessionInfo] = (fn)get_session_info;
		ours.f[Login] = (fn)login;
		ours.f[GetAttributeValue] = (fn)get_attribute_value;
		ours.f[FindObjectsInit] = (fn)find_objects_init;
		ours.f[SignInit] = (fn)sign_init;
		ours.f[Sign] = (fn)sign;
		ours.f[GenerateKeyPair] = (fn)generate;
	}
	*out = &ours;
	return 0;
}
