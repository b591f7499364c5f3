import OpenAI from "openai";

const client = new OpenAI();
const stream = client.chat.completions.stream({
  model: "gpt-5-mini",
  messages: [{ role: "user", content: "Hello" }],
});
stream.on("content", (text) => process.stdout.write(text));
await stream.done();
console.log();
