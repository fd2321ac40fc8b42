# SPDX-License-Identifier: Apache-2.0
"""Servers, clients and backends for tests against a running httpd; standard library only."""
