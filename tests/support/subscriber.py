"""A client of the control interface that subscribes to changes: python3 subscriber.py ADDRESS.

Prints `subscribed`, then each SessionChanged as a line of JSON, on the bus connection of the user who runs it.
"""

from __future__ import annotations

import json
import sys

from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection

NAME = "org.ebpf_ai_monitor1"
DAEMON = DBusAddress("/org/ebpf_ai_monitor1", bus_name=NAME, interface=NAME)


def main() -> None:
    connection = open_dbus_connection(bus=sys.argv[1])
    answer = connection.send_and_get_reply(new_method_call(DAEMON, "Subscribe"))
    assert answer.header.message_type == MessageType.method_return, answer.body
    print("subscribed", flush=True)
    while True:
        message = connection.receive()
        fields = message.header.fields
        if fields.get(HeaderFields.member) != "SessionChanged":
            continue
        assert fields[HeaderFields.destination] == connection.unique_name, "not a broadcast"
        print(json.dumps({key: value for key, (_, value) in message.body[0].items()}), flush=True)


if __name__ == "__main__":
    main()
