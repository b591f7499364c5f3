// Opens a WebSocket through Tollgate, sends a message, and prints the reply. Without SOCKETS_URL, the server is part of this program.
import { once } from "node:events";
import WebSocket, { WebSocketServer } from "ws";

if (!process.env.SOCKETS_URL) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 9001 });
  server.on("connection", (socket) => socket.on("message", (message) => socket.send(`you said: ${message}`)));
  await once(server, "listening");
}
const headers = { authorization: `Bearer ${process.env.TOLLGATE_KEY}` };
const socket = new WebSocket("http://127.0.0.1:8080/socket", { headers });
await once(socket, "open");
socket.send("hello");
const [reply] = await once(socket, "message");
console.log(reply.toString());
process.exit(0);
