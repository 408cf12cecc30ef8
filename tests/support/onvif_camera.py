"""A camera that answers WS-Discovery on the loopback interface: usage: onvif_camera.py NAME"""
import re
import socket
import struct
import sys

GROUP, PORT = "239.255.255.250", 3702
ANSWER = """<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header>
<a:RelatesTo>{question}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches><d:ProbeMatch><d:Scopes>onvif://www.onvif.org/name/{name}
 onvif://www.onvif.org/hardware/Tests</d:Scopes><d:XAddrs>http://127.0.0.1/onvif/device_service</d:XAddrs></d:ProbeMatch></d:ProbeMatches>
</s:Body></s:Envelope>"""

camera = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
camera.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
camera.bind(("", PORT))
camera.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1")))
print("listening", flush=True)
while True:
    text, peer = camera.recvfrom(65536)
    question = re.search(rb"<w:MessageID>(uuid:[0-9a-f-]{36})</w:MessageID>", text)
    if question and b"NetworkVideoTransmitter" in text:
        # Others have nothing to say in words that mimid knows.
        camera.sendto(b"<nonsense/>", peer)
        camera.sendto(ANSWER.format(question=question[1].decode(), name=sys.argv[1]).encode(), peer)
