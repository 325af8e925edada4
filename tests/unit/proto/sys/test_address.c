/* Goal: an address is taken only in the two forms that the header names.
 * Method: a table of good and bad texts. */
#include "proto/sys/address.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_address(const char *text, const char *host, uint16_t port)
{
    struct address address = {.port = 0};
    cr_assert_eq(address_parse(text, &address), STATUS_OK, "%s", text);
    cr_expect_str_eq(address.host, host);
    cr_expect_eq(address.port, port);
}

static void expect_malformed(const char *text)
{
    struct address address = {.host = "untouched", .port = 7};
    cr_expect_eq(address_parse(text, &address), STATUS_MALFORMED, "%s", text);
    cr_expect_str_eq(address.host, "untouched");
    cr_expect_eq(address.port, 7);
}

Test(address, names_and_numeric_addresses_are_parsed)
{
    expect_address("localhost:9092", "localhost", 9092);
    expect_address("127.0.0.1:0", "127.0.0.1", 0);
    expect_address("broker-1.example.org:65535", "broker-1.example.org", 65535);
    expect_address("[::1]:9092", "::1", 9092);
    expect_address("[fe80::1%eth0]:9092", "fe80::1%eth0", 9092);
}

Test(address, other_texts_are_malformed)
{
    const char *const texts[] = {"",
                                 "localhost",
                                 "localhost:",
                                 ":9092",
                                 "::1:9092",
                                 "[::1]",
                                 "[::1]9092",
                                 "[::1]:",
                                 "[]:9092",
                                 "a:65536",
                                 "a:-1",
                                 "a:+1",
                                 "a:9092 ",
                                 "a b:9092",
                                 "a:90x",
                                 "a\n:9092",
                                 "[::1:9092",
                                 "a]:9092",
                                 "a/b:9092",
                                 "u@h:9092",
                                 "a:9092,b:9",
                                 "\xc3\xa4:9092",
                                 "a:99999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        expect_malformed(texts[i]);
    }
}

Test(address, host_of_255_bytes_fits_and_one_more_does_not)
{
    char text[300];
    memset(text, 'h', sizeof text);
    memcpy(text + 255, ":9092", 6);
    struct address address;
    cr_assert_eq(address_parse(text, &address), STATUS_OK);
    cr_expect_eq(strlen(address.host), 255);
    cr_expect_eq(address.port, 9092);

    memset(text, 'h', 256);
    memcpy(text + 256, ":9092", 6);
    expect_malformed(text);
}

static bool is_loopback(const char *text)
{
    struct address address;
    cr_assert_eq(address_parse(text, &address), STATUS_OK);
    return address_is_loopback(&address);
}

Test(address, only_what_no_other_host_can_reach_is_loopback)
{
    cr_expect(is_loopback("127.0.0.1:1"));
    cr_expect(is_loopback("127.8.9.10:1"));
    cr_expect(is_loopback("[::1]:1"));
    cr_expect(is_loopback("localhost:1"));
    cr_expect_not(is_loopback("0.0.0.0:1"));
    cr_expect_not(is_loopback("[::]:1"));
    cr_expect_not(is_loopback("127.example.com:1"));
    cr_expect_not(is_loopback("10.127.0.1:1"));
}
