/* SPDX-License-Identifier: MIT */
/*
 * The service's main: command line in, exit code out. Everything else is server.c and its
 * neighbours. No daemonising (NNG does not survive fork, and systemd does it better), no flags
 * beside the configuration file: what shapes decisions must be in the log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/endpoint.h"
#include "transport/server_state.h"

#ifndef PURSER_VERSION
#define PURSER_VERSION "0.1.0"
#endif

static const char usage[] =
    "usage: purserd --config FILE [--data DIR] [--check]\n"
    "\n"
    "  --config FILE  configuration (JSON; transport/purser.example.json is a complete example)\n"
    "  --data DIR     directory of the store, instead of the configured data_dir\n"
    "  --check        read and check the configuration, then exit\n"
    "  --version      print the versions of purserd and NNG\n"
    "  --help         print this\n"
    "\n"
    "signals: SIGTERM, SIGINT stop gracefully (a second one at once); SIGHUP reads FILE again.\n"
    "exit: 0 stopped as asked, 64 usage, 70 failure while running (restart), 73 store cannot be\n"
    "      opened, 74 store damaged or still full, 78 configuration or address.\n";

static enum status check_http(const struct settings *settings, struct problem *p)
{
    struct http_address a[HTTP_DOORS];
    enum status s = STATUS_OK;
    boot_http_addresses(settings, a);
    for (int i = 0; s == STATUS_OK && i < HTTP_DOORS; i++)
        s = http_address_check(&a[i], p);
    return s;
}

static int check(const struct server_options *o)
{
    struct params *params = calloc(1, sizeof *params);
    struct settings settings;
    struct problem p = {0};
    uint64_t hash;
    enum status s =
        params ? server_load(o->config_path, params, &settings, &hash, &p) : STATUS_UNAVAILABLE;
    free(params);
    const char *urls[] = {settings.listen_route, settings.listen_feedback, settings.listen_control,
                          settings.listen_events, settings.listen_intake};
    static const char *const where[] = {"/listen/route", "/listen/feedback", "/listen/control",
                                        "/listen/events", "/listen/intake"};
    for (size_t i = 0; s == STATUS_OK && i < sizeof urls / sizeof urls[0]; i++) {
        struct endpoint_options e = {.url = urls[i],
                                     .where = where[i],
                                     .cert = settings.tls_cert,
                                     .key = settings.tls_key,
                                     .ca = settings.tls_ca,
                                     .require_client_certificate = settings.tls_require_client};
        if (urls[i][0])
            s = endpoint_check(&e, &p);
    }
    if (s == STATUS_OK)
        s = check_http(&settings, &p);
    if (s == STATUS_OK) {
        printf("%s: ok\n", o->config_path);
        return EXIT_CODE_OK;
    }
    char line[16] = "";
    if (p.line > 0)
        snprintf(line, sizeof line, ":%d", p.line);
    fprintf(stderr, "%s%s: %s: %s\n", o->config_path, line, p.path[0] ? p.path : "/", p.text);
    return EXIT_CODE_CONFIG;
}

static int fail_usage(const char *what)
{
    fprintf(stderr, "purserd: %s\n%s", what, usage);
    return EXIT_CODE_USAGE;
}

int main(int argc, char **argv)
{
    struct server_options o = {0};
    bool only_check = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--help") == 0) {
            fputs(usage, stdout);
            return EXIT_CODE_OK;
        } else if (strcmp(a, "--version") == 0) {
            printf("purserd %s (NNG %s)\n", PURSER_VERSION, nng_version());
            return EXIT_CODE_OK;
        } else if (strcmp(a, "--check") == 0) {
            only_check = true;
        } else if (strcmp(a, "--config") == 0 && i + 1 < argc) {
            o.config_path = argv[++i];
        } else if (strcmp(a, "--data") == 0 && i + 1 < argc) {
            o.data_dir = argv[++i];
        } else {
            return fail_usage("unknown or incomplete option");
        }
    }
    if (!o.config_path)
        return fail_usage("--config FILE is needed");
    return only_check ? check(&o) : server_run(&o);
}
