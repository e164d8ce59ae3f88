/* SPDX-License-Identifier: MIT */
/* The smallest application: ask which model to call, call it, tell how it went.
 * Build: cc example_app.c $(pkg-config --cflags --libs purser-client) */
#include <stdio.h>
#include "transport/client/client.h"

int main(int argc, char **argv)
{
    struct purser_client *client;
    struct purser_client_error e;
    struct purser_client_request ask = {
        .tenant = "acme", .task = "summary", .prompt = "Summarise the minutes of Tuesday."};
    struct purser_client_decision decision;
    struct purser_client_report report = {.has =
                                              PURSER_CLIENT_QUALITY | PURSER_CLIENT_OUTPUT_TOKENS};
    char status[16];

    if (purser_client_open(argc > 1 ? argv[1] : "tcp://127.0.0.1:7601",
                           argc > 2 ? argv[2] : "tcp://127.0.0.1:7602", NULL, &client, &e) != 0 ||
        purser_client_route(client, &ask, &decision, &e) != 0) {
        fprintf(stderr, "%s: %s\n", e.code, e.message);
        return 1;
    }
    printf("call %s (tier %s), expected to cost $%.6f\n", decision.model, decision.tier,
           decision.cost_usd.mean);
    /* ... call the model here; then say what came of it, now or days later ... */
    report.decision_id = decision.decision_id;
    report.quality = 0.9;
    report.output_tokens = 87;
    int failed = purser_client_feedback(client, &report, status, &e);
    printf("feedback: %s\n", failed ? e.message : status);
    purser_client_close(client);
    return failed ? 1 : 0;
}
