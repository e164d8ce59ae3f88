/* SPDX-License-Identifier: MIT */
/*
 * Requests of a fintech's customers and analysts, from templates with blanks. How hard a request
 * is can be read off its text: an intent has a difficulty, each complication adds some, and both
 * have their own words. So a router that reads can do better than one that knows only the task,
 * and task names mislead at the edges: some support questions are hard, some fraud ones routine,
 * and words like "fraud" or "refund" turn up in easy ones. That is what makes keyword rules
 * imperfect here, as they are in life.
 */
#include "sim/scenario/fintech_text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct phrase {
    const char *text; /* with {blanks} */
    double hard;
};

static const struct phrase support[] = {
    {"What is the balance of my {account}?", .02},
    {"Can you show me the last {few} transactions on my {account}?", .04},
    {"Has my salary from {merchant} arrived yet?", .06},
    {"How do I change the address on my {account}?", .06},
    {"What is the daily limit of the card ending {card}?", .05},
    {"When will my transfer of {amount} to {person} arrive?", .12},
    {"My card ending {card} expires soon. Will a new one be sent to {city}?", .08},
    {"Where do I find the fraud helpline number in the app?", .05},
    {"How long does a refund from {merchant} usually take?", .10},
    {"Please turn on notifications for every payment over {amount}.", .07},
    {"I forgot the PIN of the card ending {card}. What now?", .10},
    {"Which fee did you charge me on {date}?", .15},
    {"Is my money protected if I keep {amount} in a {account}?", .22},
    {"Did the standing order of {amount} to {person} go out on {date}?", .05},
    {"How much did I spend at {merchant} this month?", .07},
    {"Is the exchange rate in the app the one I get when I pay in {country}?", .14},
    {"Send me the IBAN of my {account}, please.", .02},
    {"Raise my card limit to {amount} until {date}.", .12},
    {"Why was my card ending {card} declined at {merchant} in {city}?", .26},
    {"Download my statement for {date} as a PDF, how?", .04},
    {"Can I open a second {account} in the app?", .06},
    {"What does it cost to withdraw {amount} at a machine in {country}?", .12},
    {"My {account} shows {amount} but the statement of {date} says something else. Please "
     "reconcile "
     "the two, line by line.",
     .62},
    {"I am moving to {country} for eight months. Work out which of my accounts stay usable, what "
     "tax residency I must declare, and what the fees on {amount} a month will be.",
     .80},
    {"Compare keeping {amount} in the {account} with paying down my loan at 6.9% over five years, "
     "interest on interest included.",
     .74},
};

static const struct phrase dispute[] = {
    {"I want to dispute a payment of {amount} to {merchant} on {date}.", .25},
    {"{merchant} charged me twice: {amount} on {date} and again the day after.", .22},
    {"What is the status of my dispute with {merchant}?", .08},
    {"The refund of {amount} that {merchant} promised has not come.", .30},
    {"I cancelled my subscription at {merchant} in writing, but {amount} was taken again on "
     "{date}.",
     .42},
    {"Which documents do I have to send for a chargeback of {amount}?", .18},
    {"The hotel in {city} charged {amount} as a no-show although I cancelled within their own "
     "deadline.",
     .52},
    {"The goods from {merchant} came broken; they offer a voucher, I want {amount} back under the "
     "card scheme's rules.",
     .58},
    {"{merchant} says the chargeback over {amount} was answered with evidence. Assess their "
     "evidence and draft our reply for arbitration.",
     .82},
    {"Part of the order was delivered, part was not, and {merchant} in {country} is insolvent. "
     "What "
     "share of {amount} can be claimed, from whom, by when?",
     .88},
};

static const struct phrase fraud[] = {
    {"I lost my card ending {card} in {city}. Please block it.", .10},
    {"I got a text asking for my PIN. Is it from you?", .15},
    {"I do not recognise the payment of {amount} to {merchant} on {date}.", .42},
    {"Someone logged in to my account from {country} while I was in {city}.", .55},
    {"My card was used {few} times at {merchant} within ten minutes, {amount} in all.", .55},
    {"A caller said he was from your security team and made me move {amount} to a safe account.",
     .72},
    {"Review this account: opened {date}, first inflow {amount} from {country}, out again in {few} "
     "transfers under the reporting threshold.",
     .86},
    {"Three customers in {city} share one device and each sent about {amount} to {person}. Explain "
     "the pattern and say whether to file a report.",
     .90},
    {"{person} changed phone number, payee and limit within an hour, then sent {amount} to "
     "{country}. Decide: hold or release, with reasons that compliance can sign.",
     .92},
    {"An invoice from {merchant} came with new bank details and we paid {amount} on {date}. Trace "
     "where the funds may be and what recall routes are left.",
     .84},
};

static const struct phrase complication[] = {
    {"The amount was converted twice, at two different rates.", .16},
    {"It is a joint account and the other holder disagrees.", .18},
    {"I have a letter from a lawyer about it.", .20},
    {"The merchant is in {country} and answers only through an agent.", .16},
    {"There were {few} partial reversals since.", .17},
    {"The statement and the app show different dates.", .13},
    {"Quote the clause of the terms that applies.", .15},
    {"Set out the reasoning step by step, since my accountant will check it.", .18},
    {"My earlier case about this was closed without an answer.", .10},
    {"The account belongs to a company with {few} directors.", .14},
};

static const struct phrase padding[] = {
    {"Thanks!", 0},
    {"I am in a hurry.", 0},
    {"It is about the card ending {card}.", 0},
    {"I have been a customer since {date}.", 0},
    {"Please answer briefly.", -.03},
    {"I checked the app already.", .01},
    {"A yes or no is enough.", -.05},
    {"My name is {person}.", 0},
};

static const char *const greeting[] = {
    "", "", "", "Hi, ", "Hello. ", "Good morning. ", "Hey team, ", "Dear support, "};
static const char *const account[] = {"current account",  "savings account", "joint account",
                                      "business account", "euro pocket",     "travel card"};
static const char *const merchant[] = {"Nordwind Air", "Brightside Energy", "Kettle & Co",
                                       "Papermoon",    "StreamNest",        "Halden Hotels",
                                       "FitForge",     "Lumen Books",       "Arbor Foods",
                                       "QuickTaxi",    "Velo City Bikes",   "Tanager Games"};
static const char *const city[] = {"Lisbon", "Leeds",  "Hamburg", "Lyon",   "Gdansk",
                                   "Malmo",  "Naples", "Cork",    "Bruges", "Graz"};
static const char *const country[] = {"Portugal", "Canada",  "Singapore", "Brazil",
                                      "Turkey",   "Estonia", "Kenya",     "Japan"};
static const char *const person[] = {"Ana Duarte",  "Tom Ahlberg", "Priya Nair", "Jonas Weber",
                                     "Maeve Quinn", "Luis Ferrer", "Ines Moreau"};
static const char *const month[] = {"January", "March", "April", "June", "August", "October"};

#define PICK(list, rng) ((list)[rng_below(rng, sizeof(list) / sizeof *(list))])

const char *fintech_text_task(enum fintech_task task)
{
    static const char *const name[] = {"support", "dispute", "fraud"};
    assert(task < FINTECH_TASKS);
    return name[task];
}

static void fill_blank(const char *name, size_t n, struct rng *rng, struct text *out)
{
    if (strncmp(name, "account", n) == 0)
        text_put(out, PICK(account, rng));
    else if (strncmp(name, "merchant", n) == 0)
        text_put(out, PICK(merchant, rng));
    else if (strncmp(name, "city", n) == 0)
        text_put(out, PICK(city, rng));
    else if (strncmp(name, "country", n) == 0)
        text_put(out, PICK(country, rng));
    else if (strncmp(name, "person", n) == 0)
        text_put(out, PICK(person, rng));
    else if (strncmp(name, "card", n) == 0)
        text_printf(out, "%04d", (int)rng_below(rng, 10000));
    else if (strncmp(name, "few", n) == 0)
        text_printf(out, "%d", 2 + (int)rng_below(rng, 8));
    else if (strncmp(name, "amount", n) == 0)
        text_printf(out, "EUR %d.%02d", 5 + (int)rng_below(rng, 4000), (int)rng_below(rng, 100));
    else if (strncmp(name, "date", n) == 0)
        text_printf(out, "%d %s", 1 + (int)rng_below(rng, 28), PICK(month, rng));
    else
        assert(!"a blank that no list fills");
}

static double put_phrase(struct phrase p, struct rng *rng, struct text *out)
{
    for (const char *at = p.text; *at != '\0';) {
        const char *open = strchr(at, '{');
        if (open == NULL) {
            text_put(out, at);
            break;
        }
        const char *close = strchr(open, '}');
        assert(close != NULL);
        text_put_n(out, at, (size_t)(open - at));
        fill_blank(open + 1, (size_t)(close - open - 1), rng, out);
        at = close + 1;
    }
    return p.hard;
}

static struct phrase intent(enum fintech_task task, struct rng *rng)
{
    switch (task) {
    case FINTECH_SUPPORT:
        return PICK(support, rng);
    case FINTECH_DISPUTE:
        return PICK(dispute, rng);
    default:
        return PICK(fraud, rng);
    }
}

double fintech_text_write(enum fintech_task task, struct rng *rng, struct text *out)
{
    static const double complicated[] = {.06, .30, .40};
    text_put(out, PICK(greeting, rng));
    double hard = put_phrase(intent(task, rng), rng, out);
    while (rng_uniform(rng) < complicated[task] && hard < 0.9) {
        text_put(out, " ");
        hard += put_phrase(PICK(complication, rng), rng, out);
    }
    if (rng_uniform(rng) < 0.5) {
        text_put(out, " ");
        hard += put_phrase(PICK(padding, rng), rng, out);
    }
    return hard < 0 ? 0 : hard > 1 ? 1 : hard;
}
