// The client of the WebSocket recordings: the official JavaScript SDK, unmodified, and what it sends and receives.
// Usage: node client.cjs PORT JOURNAL; `environment.py` bundles it with the SDK.
import ftWebsocket from "futu-api";
import protoRoot from "futu-api/proto.js";
import crypto from "crypto";
import fs from "fs";
import WS from "ws";

const [port, journalFile] = process.argv.slice(2);
const deflate = process.env.DEFLATE === "1";
const journal = [];
const SHAPE = { longs: String, enums: Number, bytes: String };

function parsed(name, side, data) {
  if (!data.length) return null;
  const type = protoRoot.lookup(`${name}.${side}`);
  return type ? type.toObject(type.decode(data), SHAPE) : null;
}

const commands = {};
function writeDown(socket, direction, data) {
  const sent = direction === "c2s";
  const size = sent ? 20 : 44;
  const cmd = data.readUInt32BE(8);
  const body = data.subarray(size);
  const error = sent ? 0 : data.readInt32BE(20);
  const section = data.readBigUInt64BE(12);
  journal.push({
    client: `127.0.0.1:${socket._socket.localPort}`,
    direction,
    proto_id: cmd,
    serial_no: Number(section),
    kind: sent ? "request" : section === 0n ? "push" : "response",
    format: "Protobuf",
    encryption: "None",
    wire_sha1: crypto.createHash("sha1").update(body).digest("hex"),
    sha1: null,
    plaintext: body.toString("hex"),
    body: parsed(commands[cmd], sent ? "Request" : "Response", body),
    time_ns: Number(process.hrtime.bigint() - started) + startedNs,
    header_error: error ? [error, data.subarray(24, 44).toString().replace(/\0/g, "").replace(/\uFFFD+$/, "")] : null,
  });
}

const started = process.hrtime.bigint();
const startedNs = Date.now() * 1e6;

globalThis.WebSocket = class extends WS {
  constructor(address) {
    super(address, { perMessageDeflate: deflate ? { threshold: 0, clientMaxWindowBits: 10 } : false });
    this.on("message", (data) => writeDown(this, "s2c", Buffer.from(data)));
  }
  send(data) {
    writeDown(this, "c2s", Buffer.from(data));
    super.send(data);
  }
};
for (const name of ["CONNECTING", "OPEN", "CLOSING", "CLOSED"]) globalThis.WebSocket[name] = WS[name];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const failed = (call) => call.then(() => { throw new Error("must fail"); }, () => null);

async function main() {
  const client = new ftWebsocket();
  Object.assign(commands, { 1: "InitWebSocket" });
  for (let id = 1000; id < 4000; id += 1) {
    const found = ftWebsocket.findCmdObj(id);
    if (found) commands[id] = found.name;
  }
  commands[1001] = "InitConnect";
  let login;
  const waiting = () => new Promise((resolve) => { login = resolve; });
  client.onlogin = (ok) => login(ok);
  let first = waiting();
  client.start("127.0.0.1", Number(port), false, "the key of the WebSocket port");
  if (!(await first)) throw new Error("no login");
  const tencent = { market: 1, code: "00700" };
  const apple = { market: 11, code: "AAPL" };
  const header = { trdEnv: 1, accID: "281474976710655001", trdMarket: 1 };
  await client.GetGlobalState({ c2s: { userID: 0 } });
  await client.Sub({
    c2s: { securityList: [tencent, apple], subTypeList: [1, 2, 4], isSubOrUnSub: true, isRegOrUnRegPush: true },
  });
  await client.GetBasicQot({ c2s: { securityList: [tencent, apple] } });
  await client.GetKL({ c2s: { rehabType: 1, klType: 1, security: tencent, reqNum: 1000 } });
  await client.GetOrderBook({ c2s: { security: tencent, num: 10 } });
  await client.GetTicker({ c2s: { security: tencent, maxRetNum: 20 } });
  client.GetRT({ c2s: { security: tencent } }); // a reply without a body: the SDK waits for ever
  await pause(100);
  await client.GetAccList({ c2s: { userID: 99000001 } });
  await failed(client.UnlockTrade({ c2s: { unlock: true, pwdMD5: crypto.createHash("md5").update("wrong").digest("hex") } }));
  const order = { trdSide: 1, orderType: 1, code: "00700", qty: 300, price: 400.2, secMarket: 1, remark: "von JS 你好" };
  await client.PlaceOrder({ c2s: { packetID: { connID: client.getConnID(), serialNo: 7 }, header, ...order } });
  await client.GetOrderList({ c2s: { header } });
  fs.writeFileSync(`${journalFile}.go`, "");
  first = waiting();
  await pause(1000); // pushes, a ping; then the gateway closes, and the SDK connects again after a second
  if (!(await first)) throw new Error("no login");
  await client.GetGlobalState({ c2s: { userID: 0 } });
  await pause(300);
  client.websock.close();
  await pause(300);
  fs.writeFileSync(journalFile, journal.map((entry) => JSON.stringify(entry) + "\n").join(""));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
