// Calls a gRPC server through Tollgate with @grpc/grpc-js, and prints the status of each call and the number of attempts.
import grpc from "@grpc/grpc-js";

const { PLAIN, KEY } = process.env;
// Clients repeat calls with these statuses, unless the response forbids it.
const retryPolicy = { maxAttempts: 4, initialBackoff: "0.01s", maxBackoff: "0.02s", backoffMultiplier: 1,
  retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"] };
const config = { loadBalancingConfig: [], methodConfig: [{ name: [{}], retryPolicy }] };
const client = new grpc.Client(PLAIN, grpc.credentials.createInsecure(), { "grpc.service_config": JSON.stringify(config) });
const bytes = (message) => message;

/** Sends one unary call. Returns its status, its message and whether the response is the request reversed. */
function call(path, message, metadata) {
  return new Promise((resolve) => {
    const deadline = new Date(Date.now() + 30_000);
    client.makeUnaryRequest(path, bytes, bytes, message, metadata, { deadline }, (error, response) => {
      const reversed = response?.equals(Buffer.from(message).reverse()) ?? false;
      resolve({ code: grpc.status[error?.code ?? 0], details: error?.details ?? "", reversed });
    });
  });
}

const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${KEY}`);
for (const path of ["/test.Service/Reverse", "/test.Service/Reverse", "/test.Service/Reverse", "/other.Service/X"]) {
  console.log(JSON.stringify(await call(path, Buffer.from("hello"), metadata)));
}
console.log(JSON.stringify(await call("/test.Service/Reverse", Buffer.from("hello"), new grpc.Metadata())));
client.close();
