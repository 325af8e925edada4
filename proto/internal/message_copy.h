/* Copies of protobuf-c messages, by packing and unpacking: the library has no other way.
 *
 * Owner: the caller. Loop: any. */
#pragma once

#include <protobuf-c/protobuf-c.h>

/* A deep copy of the same type, for message_copy_free(). NULL: no memory. */
void *message_copy(const ProtobufCMessage *message);
void message_copy_free(void *copy); /* Accepts NULL. */
