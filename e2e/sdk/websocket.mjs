// Opens a WebSocket with the package ws, and does for each line of the standard input what calls_websocket.py does.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import WebSocket from "ws";

const { URL, KEY } = process.env;
const headers = { authorization: `Bearer ${KEY}` };
const socket = new WebSocket(URL, { headers, perMessageDeflate: false, maxPayload: 0 });
const closed = once(socket, "close");
await once(socket, "open");
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "close") {
    const late = [];
    socket.on("message", (message) => late.push(message.toString()));
    socket.close(1000);
    const [code] = await closed;
    console.log(late.join(", "));
    console.log(code);
    break;
  }
  if (line === "wait") {
    const [code] = await closed;
    console.log(code);
    break;
  }
  const part = randomBytes(1_024);
  const message = Buffer.alloc(Math.max(1, Number(line) - (Number(line) % 1_024)), part);
  socket.send(message);
  const [received] = await once(socket, "message");
  console.log(message.equals(received) ? "same" : "different");
}
process.exit(0);
