import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
const stream = await client.models.generateContentStream({ model: "gemini-2.5-flash", contents: "Hello" });
for await (const chunk of stream) process.stdout.write(chunk.text ?? "");
console.log();
