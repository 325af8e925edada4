#include "proto/sys/host/host_status.h"

#include "proto/sys/check.h"

#include <uv.h>

enum status host_status_of_disk(int negative_errno)
{
    check(negative_errno <= 0);
    switch (negative_errno) {
    case 0:
        return STATUS_OK;
    case UV_ENOENT:
    case UV_ENOTDIR:
        return STATUS_NOT_FOUND;
    case UV_EEXIST:
        return STATUS_EXISTS;
    case UV_ENOSPC:
    case -EDQUOT:
        return STATUS_NO_SPACE;
    case UV_ENOMEM:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_IO;
    }
}

enum status host_status_of_socket(int negative_errno)
{
    check(negative_errno <= 0);
    switch (negative_errno) {
    case 0:
        return STATUS_OK;
    case UV_EADDRINUSE:
        return STATUS_EXISTS;
    case UV_EADDRNOTAVAIL:
    case UV_EACCES:
    case UV_EPERM:
    case UV_EAFNOSUPPORT:
        return STATUS_INVALID;
    case UV_EMFILE:
    case UV_ENFILE:
        return STATUS_FULL;
    case UV_ENOMEM:
    case UV_ENOBUFS:
    case UV_EAI_MEMORY:
        return STATUS_NO_MEMORY;
    case UV_ECONNREFUSED:
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_ENETDOWN:
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
    case UV_EAI_NODATA:
    case UV_EAI_NONAME:
    case UV_EAI_SERVICE:
    case UV_EAI_ADDRFAMILY:
        return STATUS_UNREACHABLE;
    case UV_ETIMEDOUT:
        return STATUS_TIMEOUT;
    case UV_ECANCELED:
    case UV_EAI_CANCELED:
        return STATUS_CANCELED;
    default:
        return STATUS_CLOSED;
    }
}
