# SPDX-License-Identifier: Apache-2.0
"""Parts for the tests and for ./demo; what runs is a context manager:

    peers     where the unpacked servers and our own programs are
    folder    a temporary folder with a short path, and who may look into it
    ports     free ports that stay ours
    process   start, watch and end a program, by its pid
    nginx     nginx with the bridge
    pebble    a CA, with a DNS server that answers 127.0.0.1 for every name
    agent     acme-agent with its configuration, and acmectl
    stage     all three wired together, as most tests and the demo want them
    fakeca    a fake CA in front of Pebble, which misbehaves as told
    forge     certificates that a good agent must not take
    tls       handshakes that return what was served
    load      a client that opens a new connection for each request
    scrub     searches what a test left behind for private keys and tokens

Nothing here needs more than Debian's python3 and python3-cryptography.
"""
