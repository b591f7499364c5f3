"""A WebSocket server that sends three more messages after the Close frame of its client, and then its own Close frame. It prints its
port, and serves one client."""

import socket

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
protocol = ServerProtocol()
while received := client.recv(65_536):
    protocol.receive_data(received)
    for event in protocol.events_received():
        if not isinstance(event, Frame):
            protocol.send_response(protocol.accept(event))
        elif event.opcode is Opcode.CLOSE:
            for number in range(3):
                client.sendall(Frame(Opcode.TEXT, f"late {number}".encode()).serialize(mask=False, extensions=[]))
    for data in protocol.data_to_send():
        # An empty piece is the end of the connection.
        client.sendall(data) if data else client.shutdown(socket.SHUT_WR)
