"""Has the conversation of foreign_test.go with Eclipse Paho.

Usage: conversation.py host port device token version(4|5)

It prints what it noted as one JSON list.
"""

import json
import queue
import socket
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 20
host, port, device, token, version = sys.argv[1:6]
topic = f"devices/{device}/telemetry"
inbox = queue.Queue()
transcript = []


def note(client, userdata, m):
    inbox.put(f"{m.payload.decode()} QoS {m.qos}" + (" retained" if m.retain else ""))


def connect(client_id, persistent, will=None):
    """Connects, and returns the client and whether the server had its session."""
    connected, present = threading.Event(), []
    v5 = version == "5"
    options = {} if v5 else {"clean_session": not persistent}
    client = mqtt.Client(client_id=client_id, protocol=int(version), **options)
    client.username_pw_set(device, token)
    client.on_message = note

    def on_connect(client, userdata, flags, reason, properties=None):
        if (reason if isinstance(reason, int) else reason.value) == 0:
            present.append(flags["session present"])
        connected.set()

    client.on_connect = on_connect
    if will:
        client.will_set(topic, will, qos=1)
    options = {}
    if v5:
        options["clean_start"] = not persistent
        if persistent:
            options["properties"] = Properties(PacketTypes.CONNECT)
            options["properties"].SessionExpiryInterval = 300
    client.connect(host, int(port), keepalive=30, **options)
    client.loop_start()
    if not connected.wait(PATIENCE) or not present:
        sys.exit(f"{client_id} was refused")
    return client, bool(present[0])


def subscribe(client, what, qos):
    done = threading.Event()
    client.on_subscribe = lambda *args: done.set()
    client.subscribe(what, qos)
    if not done.wait(PATIENCE):
        sys.exit("no SUBACK")


def publish(client, what, payload, qos, retain=False):
    info = client.publish(what, payload, qos=qos, retain=retain)
    info.wait_for_publish(PATIENCE)
    if not info.is_published():
        sys.exit(f"{payload} was not acknowledged")


def hear():
    transcript.append(inbox.get(timeout=PATIENCE))


lasting, _ = connect("lasting", True)
subscribe(lasting, topic, 2)
for qos in range(3):
    publish(lasting, topic, f'{{"n":{qos}}}', qos)
    hear()
lasting.disconnect()
lasting.loop_stop()

passing, _ = connect("passing", False, will='{"last":1}')
publish(passing, topic, '{"n":11}', 1)
publish(passing, topic, '{"n":12}', 2)
publish(passing, topic + "/kept", "7", 1, retain=True)
passing.loop_stop()
passing.socket().shutdown(socket.SHUT_RDWR)

lasting, present = connect("lasting", True)
if present:
    transcript.append("session present")
for _ in range(3):
    hear()
subscribe(lasting, topic + "/kept", 1)
hear()
lasting.disconnect()
lasting.loop_stop()
print(json.dumps(transcript))
