"""Answers the process of a unit like systemd, on a bus without systemd, as if the unit's job had that type: python3
service_manager.py ADDRESS JOB_TYPE.

Prints `ready`.
"""

from __future__ import annotations

import sys

from jeepney import HeaderFields, MessageType, message_bus, new_error, new_method_return
from jeepney.io.blocking import open_dbus_connection

UNIT, JOB = "/org/freedesktop/systemd1/unit/ebpf_2dai_2dmonitor_2eservice", "/org/freedesktop/systemd1/job/7"
ROOT = "/org/freedesktop/systemd1"


def main() -> None:
    answers = {
        (ROOT, "GetUnitByPID", (0,)): ("o", (UNIT,)),
        (UNIT, "Get", ("org.freedesktop.systemd1.Unit", "Job")): ("v", (("(uo)", (7, JOB)),)),
        (JOB, "Get", ("org.freedesktop.systemd1.Job", "JobType")): ("v", (("s", sys.argv[2]),)),
    }
    connection = open_dbus_connection(bus=sys.argv[1])
    connection.send_and_get_reply(message_bus.RequestName("org.freedesktop.systemd1"))
    print("ready", flush=True)
    while True:
        message = connection.receive()
        if message.header.message_type != MessageType.method_call:
            continue
        fields = message.header.fields
        answer = answers.get((fields[HeaderFields.path], fields[HeaderFields.member], message.body))
        if answer:
            connection.send(new_method_return(message, *answer))
        else:
            connection.send(new_error(message, "org.freedesktop.DBus.Error.UnknownMethod"))


main()
