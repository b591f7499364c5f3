import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic();
const stream = client.messages.stream({
  model: "claude-haiku-4-5",
  max_tokens: 200,
  messages: [{ role: "user", content: "Hello" }],
});
stream.on("text", (text) => process.stdout.write(text));
await stream.done();
console.log();
