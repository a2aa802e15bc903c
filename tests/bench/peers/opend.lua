-- OpenD's framing for tshark, with Wireshark's own protobuf dissector for the bodies.
--
-- The environment variable OPENDUMP_BENCH_NAMES names a file with the id and the name of each protocol.  The bodies
-- need the preference protobuf_search_paths.  Nothing is decrypted: Wireshark's Lua offers no cipher.

local GATEWAY_PORT = 11111
local HEADER_LEN = 44

local names = {}
for line in io.lines(assert(os.getenv("OPENDUMP_BENCH_NAMES"))) do
  local id, name = line:match("^(%d+)\t(%S+)$")
  names[tonumber(id)] = name
end

local opend = Proto("opend", "Futu OpenD")
local fields = {
  proto_id = ProtoField.uint32("opend.proto_id", "Protocol id"),
  name = ProtoField.string("opend.name", "Protocol"),
  format = ProtoField.uint8("opend.format", "Body format"),
  version = ProtoField.uint8("opend.version", "Version"),
  serial = ProtoField.uint32("opend.serial", "Serial number"),
  size = ProtoField.uint32("opend.body_len", "Body length"),
  sha1 = ProtoField.bytes("opend.sha1", "SHA-1"),
  direction = ProtoField.string("opend.direction", "Direction"),
  ret_type = ProtoField.int32("opend.ret_type", "retType"),
}
opend.fields = fields

local protobuf = Dissector.get("protobuf")

local function frame_length(buffer, _, offset)
  return HEADER_LEN + buffer(offset + 12, 4):le_uint()
end

-- A Response begins with retType, field 1: one byte from 0 up, ten bytes below.
local function add_ret_type(tree, body)
  if body:len() >= 2 and body(0, 1):uint() == 8 then
    local first = body(1, 1):uint()
    tree:add(fields.ret_type, body(1, 1), first < 128 and first or -1)
  end
end

local function dissect_frame(buffer, pinfo, root)
  local from_gateway = pinfo.src_port == GATEWAY_PORT
  local name = names[buffer(2, 4):le_uint()]
  local tree = root:add(opend, buffer())
  pinfo.cols.protocol = "OpenD"
  tree:add_le(fields.proto_id, buffer(2, 4))
  tree:add(fields.name, name or "unknown")
  tree:add(fields.format, buffer(6, 1))
  tree:add(fields.version, buffer(7, 1))
  tree:add_le(fields.serial, buffer(8, 4))
  tree:add_le(fields.size, buffer(12, 4))
  tree:add(fields.sha1, buffer(16, 20))
  tree:add(fields.direction, from_gateway and "s2c" or "c2s")
  if buffer:len() > HEADER_LEN and name and buffer(6, 1):uint() == 0 then
    local body = buffer(HEADER_LEN):tvb()
    if from_gateway then
      add_ret_type(tree, body)
    end
    pinfo.private["pb_msg_type"] = "message," .. name .. (from_gateway and ".Response" or ".Request")
    pcall(Dissector.call, protobuf, body, pinfo, tree)
  end
  return buffer:len()
end

function opend.dissector(buffer, pinfo, root)
  if buffer(0, math.min(2, buffer:len())):string() ~= ("FT"):sub(1, buffer:len()) then
    return 0 -- not where a message begins: do not trust what would be read as a length
  end
  dissect_tcp_pdus(buffer, root, HEADER_LEN, frame_length, dissect_frame)
  return buffer:len()
end

DissectorTable.get("tcp.port"):add(GATEWAY_PORT, opend)
