"""A notification server that shows nothing and needs no display: python3 notification_server.py ADDRESS.

Prints `ready`, then a line for each notification.
"""

from __future__ import annotations

import sys

from jeepney import HeaderFields, MessageType, message_bus, new_method_return
from jeepney.io.blocking import open_dbus_connection

ANSWERS = {"GetCapabilities": ("as", (["actions", "body"],)), "Notify": ("u", (1,)), "CloseNotification": ("", ())}


def main() -> None:
    connection = open_dbus_connection(bus=sys.argv[1])
    connection.send_and_get_reply(message_bus.RequestName("org.freedesktop.Notifications"))
    print("ready", flush=True)
    while True:
        message = connection.receive()
        if message.header.message_type != MessageType.method_call:
            continue
        member = message.header.fields[HeaderFields.member]
        connection.send(new_method_return(message, *ANSWERS[member]))
        if member == "Notify":
            print(f"{message.body[3]}, actions: {message.body[5]}", flush=True)


main()
