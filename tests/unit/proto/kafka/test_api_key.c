/* Goal: names, versions and header versions are those of Kafka.
 * Method: the number of APIs, rows known by heart, and the odd ones. The golden test compares the
 * header versions of every API and version. */
#include "proto/kafka/api_key.h"

#include <criterion/criterion.h>

Test(api_key, table_holds_the_91_apis_of_kafka_ascending)
{
    int count = 0;
    int16_t last = -1;
    for (int16_t key = 0; key < 1000; key++) {
        const struct api_key_entry *entry = api_key_find(key);
        if (entry != NULL) {
            cr_expect_eq(entry->key, key);
            cr_expect_leq(entry->version_oldest, entry->version_min);
            cr_expect_leq(entry->version_min, entry->version_max);
            last = key;
            count += 1;
        }
    }

    cr_expect_eq(count, 91);
    cr_expect_eq(last, API_KEY_UNREGISTER_CONTROLLER);
}

Test(api_key, produce_has_its_versions)
{
    const struct api_key_entry *entry = api_key_find(API_KEY_PRODUCE);

    cr_assert_not_null(entry);
    cr_expect_str_eq(entry->name, "Produce");
    cr_expect_eq(entry->version_oldest, 0);
    cr_expect_eq(entry->version_min, 3);
    cr_expect_eq(entry->version_max, 13);
    cr_expect_eq(entry->version_flexible_min, 9);
}

Test(api_key, unstable_version_is_not_the_last_one)
{
    cr_expect_eq(api_key_find(API_KEY_INIT_PRODUCER_ID)->version_max, 5);
}

Test(api_key, removed_and_unknown_keys_are_not_found)
{
    cr_expect_null(api_key_find(4));
    cr_expect_null(api_key_find(-1));
    cr_expect_null(api_key_find(95));
    cr_expect_null(api_key_find(INT16_MAX));
    cr_expect_str_eq(api_key_name(7), "?");
    cr_expect_eq(api_key_request_header_version(4, 0), -1);
    cr_expect_eq(api_key_response_header_version(4, 0), -1);
}

Test(api_key, flexible_versions_have_flexible_headers)
{
    cr_expect_eq(api_key_request_header_version(API_KEY_PRODUCE, 8), 1);
    cr_expect_eq(api_key_request_header_version(API_KEY_PRODUCE, 9), 2);
    cr_expect_eq(api_key_response_header_version(API_KEY_PRODUCE, 8), 0);
    cr_expect_eq(api_key_response_header_version(API_KEY_PRODUCE, 9), 1);
    cr_expect_eq(api_key_request_header_version(API_KEY_SASL_HANDSHAKE, INT16_MAX - 1), 1);
}

Test(api_key, answer_of_api_versions_never_has_a_flexible_header)
{
    cr_expect_eq(api_key_request_header_version(API_KEY_API_VERSIONS, 3), 2);
    cr_expect_eq(api_key_response_header_version(API_KEY_API_VERSIONS, 3), 0);
    cr_expect_eq(api_key_response_header_version(API_KEY_API_VERSIONS, 99), 0);
}

Test(api_key, private_keys_have_flexible_headers_and_no_row)
{
    cr_expect(api_key_is_private(API_KEY_PRIVATE_MIN));
    cr_expect_not(api_key_is_private(API_KEY_UNREGISTER_CONTROLLER));
    cr_expect_null(api_key_find(API_KEY_PRIVATE_MIN));
    cr_expect_eq(api_key_request_header_version(API_KEY_PRIVATE_MIN, 0), 2);
    cr_expect_eq(api_key_response_header_version(API_KEY_PRIVATE_MIN, 0), 1);
}
