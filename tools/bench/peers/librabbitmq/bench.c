/*
 * librabbitmq in C, client and server: what RabbitMQ itself allows, with next to nothing spent on either side.
 *
 * The command line is that of all peers (../README.md), with --size BYTES for the length of a reply. A request is 32
 * bytes: both numbers and the length of the reply, as big-endian 32-bit integers; a reply begins with the sum.
 */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define QUEUE "bench.librabbitmq"
#define PREFETCH 1000
#define REQUEST_SIZE 32
#define LARGEST_REPLY (64 << 20)
#define TICK 1e-3 /* what the others' event loops sleep at least; librabbitmq would spin */

static struct {
  const char *verb;
  char *broker;
  long calls, in_flight, size;
  double rate, seconds;
  int latencies, timeline, wait;
} options = {.calls = 1000, .in_flight = 1, .size = REQUEST_SIZE, .seconds = 3};

static amqp_connection_state_t connection;

static void die(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static double clock_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

static void check(const char *what, amqp_rpc_reply_t reply) {
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) die(what, amqp_error_string2(reply.library_error));
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) die(what, "the broker refused");
}

static void check_status(const char *what, int status) {
  if (status != AMQP_STATUS_OK) die(what, amqp_error_string2(status));
}

static void open_connection(void) {
  struct amqp_connection_info broker;
  check_status("--broker", amqp_parse_url(options.broker, &broker));
  connection = amqp_new_connection();
  check_status("connect", amqp_socket_open(amqp_tcp_socket_new(connection), broker.host, broker.port));
  check("login", amqp_login(connection, broker.vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, broker.user, broker.password));
  amqp_channel_open(connection, 1);
  check("channel", amqp_get_rpc_reply(connection));
}

/* Waits for a message; 0 when none came in time. No time means for ever. */
static int receive(amqp_envelope_t *envelope, struct timeval *patience) {
  amqp_maybe_release_buffers(connection);
  amqp_rpc_reply_t reply = amqp_consume_message(connection, envelope, patience, 0);
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT) return 0;
  check("consume", reply);
  return 1;
}

static void serve(void) {
  char *body = calloc(1, LARGEST_REPLY);
  amqp_queue_declare(connection, 1, amqp_cstring_bytes(QUEUE), 0, 0, 0, 1, amqp_empty_table);
  check("queue", amqp_get_rpc_reply(connection));
  amqp_basic_qos(connection, 1, 0, PREFETCH, 0);
  amqp_basic_consume(connection, 1, amqp_cstring_bytes(QUEUE), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
  check("consume", amqp_get_rpc_reply(connection));
  puts("ready");
  fflush(stdout);
  for (;;) {
    amqp_envelope_t request;
    receive(&request, NULL);
    uint32_t numbers[3];
    if (request.message.body.len < sizeof numbers) die("request", "too short");
    memcpy(numbers, request.message.body.bytes, sizeof numbers);
    uint32_t sum = htonl(ntohl(numbers[0]) + ntohl(numbers[1])), size = ntohl(numbers[2]);
    if (size < sizeof sum || size > LARGEST_REPLY) die("request", "asks for too little or too much");
    memcpy(body, &sum, sizeof sum);
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
                                          .correlation_id = request.message.properties.correlation_id};
    amqp_bytes_t reply = {size, body};
    check_status("reply", amqp_basic_publish(connection, 1, amqp_empty_bytes, request.message.properties.reply_to, 0, 0,
                                             &properties, reply));
    check_status("ack", amqp_basic_ack(connection, 1, request.delivery_tag, 0));
    amqp_destroy_envelope(&request);
  }
}

static void publish(long number, amqp_bytes_t reply_to) {
  uint32_t body[REQUEST_SIZE / 4] = {htonl(number), htonl(1), htonl(options.size)};
  char correlation_id[24];
  snprintf(correlation_id, sizeof correlation_id, "%ld", number);
  amqp_basic_properties_t properties = {._flags = AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG,
                                        .correlation_id = amqp_cstring_bytes(correlation_id),
                                        .reply_to = reply_to};
  amqp_bytes_t request = {sizeof body, body};
  check_status("request", amqp_basic_publish(connection, 1, amqp_empty_bytes, amqp_cstring_bytes(QUEUE), 1, 0,
                                             &properties, request));
}

/* Returns the number of the call that was answered, or -1 when the answer is wrong. */
static long answered(const amqp_message_t *reply) {
  char text[24] = "";
  uint32_t sum;
  amqp_bytes_t id = reply->properties.correlation_id;
  if (id.len >= sizeof text || reply->body.len != (size_t)options.size) return -1;
  memcpy(text, id.bytes, id.len);
  memcpy(&sum, reply->body.bytes, sizeof sum);
  long number = atol(text);
  return number >= 0 && number < options.calls && ntohl(sum) == (uint32_t)number + 1 ? number : -1;
}

static int compare(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static void call_all(amqp_bytes_t reply_to, int tell) {
  double *begun = calloc(options.calls, sizeof *begun), *took = calloc(options.calls, sizeof *took), timeline[100];
  long sent = 0, settled = 0, errors = 0, step = options.calls / 100 > 0 ? options.calls / 100 : 1;
  int points = 0;
  double cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID), began = clock_of(CLOCK_MONOTONIC);
  while (settled < options.calls) {
    double now = clock_of(CLOCK_MONOTONIC);
    struct timeval patience, *until = NULL;
    if (options.rate) {
      while (sent < options.calls && began + sent / options.rate <= now) {
        begun[sent] = began + sent / options.rate;
        publish(sent++, reply_to);
      }
      if (sent < options.calls) {
        double left = began + sent / options.rate - clock_of(CLOCK_MONOTONIC);
        if (left < TICK) left = TICK;
        patience.tv_sec = (long)left;
        patience.tv_usec = (long)((left - patience.tv_sec) * 1e6);
        until = &patience;
      }
    } else {
      while (sent < options.calls && sent - settled < options.in_flight) {
        begun[sent] = clock_of(CLOCK_MONOTONIC);
        publish(sent++, reply_to);
      }
    }
    amqp_envelope_t reply;
    if (!receive(&reply, until)) continue;
    now = clock_of(CLOCK_MONOTONIC);
    long number = answered(&reply.message);
    amqp_destroy_envelope(&reply);
    if (number < 0) errors++;
    else took[settled] = now - begun[number];
    if (++settled % step == 0 && points < 100) timeline[points++] = now - began;
  }
  double seconds = clock_of(CLOCK_MONOTONIC) - began;
  cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  if (tell) {
    printf("{\"calls\": %ld, \"errors\": %ld, \"problem\": \"%s\", \"seconds\": %.9f, \"cpu_seconds\": %.9f", settled,
           errors, errors ? "wrong answers" : "", seconds, cpu);
    if (options.latencies || options.rate) {
      static const double percentiles[] = {50, 90, 99, 99.9};
      qsort(took, settled, sizeof *took, compare);
      for (int i = 0; i < 4; i++)
        printf("%s\"%g\": %.9f", i ? ", " : ", \"latencies\": {", percentiles[i],
               took[(long)(percentiles[i] / 100 * (settled - 1) + 0.5)]);
      printf("}");
    }
    if (options.timeline) {
      printf(", \"timeline\": [");
      for (int i = 0; i < points; i++) printf("%s%.6f", i ? ", " : "", timeline[i]);
      printf("]");
    }
    puts("}");
    fflush(stdout);
  }
  free(begun);
  free(took);
}

static void call(void) {
  amqp_queue_declare_ok_t *queue = amqp_queue_declare(connection, 1, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
  check("reply queue", amqp_get_rpc_reply(connection));
  amqp_bytes_t reply_to = amqp_bytes_malloc_dup(queue->queue);
  amqp_basic_consume(connection, 1, reply_to, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
  check("consume", amqp_get_rpc_reply(connection));

  double rate = options.rate;
  long calls = rate ? (long)(rate * options.seconds) : options.calls;
  options.rate = 0;
  options.calls = calls / 10 > 0 ? calls / 10 : 1;
  call_all(reply_to, 0);
  options.rate = rate;
  options.calls = calls;

  char line[16];
  if (options.wait) {
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return;
  }
  call_all(reply_to, 1);
  if (options.wait && !fgets(line, sizeof line, stdin)) return;
}

static void read_options(int count, char **words) {
  options.verb = count > 1 ? words[1] : "";
  for (int i = 2; i < count; i++) {
    char *name = words[i];
    if (!strcmp(name, "--latencies")) options.latencies = 1;
    else if (!strcmp(name, "--timeline")) options.timeline = 1;
    else if (!strcmp(name, "--wait")) options.wait = 1;
    else if (i + 1 == count) die(name, "no such option, or its value is missing");
    else if (!strcmp(name, "--broker")) options.broker = words[++i];
    else if (!strcmp(name, "--calls")) options.calls = atol(words[++i]);
    else if (!strcmp(name, "--in-flight")) options.in_flight = atol(words[++i]);
    else if (!strcmp(name, "--size")) options.size = atol(words[++i]);
    else if (!strcmp(name, "--rate")) options.rate = atof(words[++i]);
    else if (!strcmp(name, "--seconds")) options.seconds = atof(words[++i]);
    else die(name, "no such option");
  }
  if (!options.broker) die("--broker", "is missing");
  if (options.calls < 1 || options.in_flight < 1 || options.size < 4) die("options", "a number is too small");
}

int main(int count, char **words) {
  read_options(count, words);
  open_connection();
  if (!strcmp(options.verb, "server")) serve();
  else if (!strcmp(options.verb, "client")) call();
  else die("verb", "server or client");
  return 0;
}
