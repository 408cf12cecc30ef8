"""An RTSP server: usage: rtsp_server.py PORT RECORDING [NAME=]CODEC… [--user USER --password PASSWORD] [--certificate FILE]

Each codec is served under its own name, such as /aac48, or under another one, and plays the recording from its beginning to each that comes.
The file of a certificate holds its key as well; with it the server speaks TLS.
"""
import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer

CODECS = {
    "aac16": "audio/x-raw,rate=16000,channels=1 ! avenc_aac ! rtpmp4gpay name=pay{n} pt=97",
    "aac48": "audio/x-raw,rate=48000,channels=2 ! avenc_aac ! rtpmp4gpay name=pay{n} pt=97",
    "pcmu": "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay{n}",
    "pcma": "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay{n}",
    "l16": "audio/x-raw,format=S16BE,rate=44100,channels=2 ! rtpL16pay name=pay{n} pt=98",
    "opus": "audio/x-raw,rate=48000,channels=1 ! opusenc ! rtpopuspay name=pay{n} pt=99",
    "g722": "audio/x-raw,rate=16000,channels=1 ! avenc_g722 ! rtpg722pay name=pay{n}",
}
VIDEO = ("videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=5/1 ! x264enc tune=zerolatency ! "
         "rtph264pay name=pay0 pt=96")
SOUND = "filesrc location={recording} ! wavparse ! audioconvert ! audioresample ! "


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("recording")
    parser.add_argument("codecs", nargs="+")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--certificate")
    arguments = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(service=arguments.port, address="127.0.0.1")
    if arguments.user or arguments.certificate:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if arguments.certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(arguments.certificate))
        if arguments.user:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(arguments.user, arguments.password, token)
        else:
            auth.set_default_token(token)
        server.set_auth(auth)
    for word in arguments.codecs:
        name, _, codec = word.rpartition("=")
        factory = GstRtspServer.RTSPMediaFactory()
        sound = codec.removeprefix("video+").removeprefix("video")
        parts = [VIDEO] if codec.startswith("video") else []
        if sound:
            parts.append(SOUND.format(recording=arguments.recording) + CODECS[sound].format(n=len(parts)))
        factory.set_launch("( " + " ".join(parts) + " )")
        if server.get_auth():
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory("/" + (name or codec), factory)
    server.attach(None)
    print("listening", flush=True)
    GLib.MainLoop().run()


main()
