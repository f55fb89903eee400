"""Publishes and receives with Eclipse Paho as a device would.

Usage: roundtrip.py host port device token version(4|5)

It subscribes to the device's own telemetry, publishes one message with each
of QoS 0 and 1 and a retained one, and prints what came back, one JSON list
[topic, payload, qos, retain] per line. It ends with 0 when everything came.
"""

import json
import sys
import threading

import paho.mqtt.client as mqtt

host, port, device, token, version = sys.argv[1:6]
topic = f"devices/{device}/telemetry"
subscribed = threading.Event()
complete = threading.Event()
received = []


def on_connect(client, userdata, flags, reason, properties=None):
    code = reason if isinstance(reason, int) else reason.value
    if code != 0:
        print("refused", code, file=sys.stderr)
        sys.exit(1)
    client.subscribe(topic, qos=1)


def on_message(client, userdata, message):
    received.append([message.topic, message.payload.decode(), message.qos, bool(message.retain)])
    if len(received) == 3:
        complete.set()


client = mqtt.Client(client_id=device + "-paho", protocol=int(version))
client.username_pw_set(device, token)
client.on_connect = on_connect
client.on_message = on_message
client.on_subscribe = lambda *args: subscribed.set()
client.connect(host, int(port), keepalive=20)
client.loop_start()
if not subscribed.wait(20):
    sys.exit("no SUBACK")
for qos, retain in ((0, False), (1, False), (1, True)):
    info = client.publish(topic, json.dumps({"q": qos, "r": retain}), qos=qos, retain=retain)
    info.wait_for_publish(20)
if not complete.wait(20):
    sys.exit(f"only {len(received)} messages came")
for entry in received:
    print(json.dumps(entry))
client.disconnect()
client.loop_stop()
