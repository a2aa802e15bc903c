-- Written by opendump: the protocol of Futu/moomoo OpenD for Wireshark 3.6 and newer.
-- It shows messages that are in clear, and those that `opendump rewrite` decrypted.

-- Fields of messages in filters: pbf.Trd_Common.Order.orderStatus == "OrderStatus_Filled_All".  What the user's own
-- preferences say is read later and wins.  Not in Wireshark 3.
if set_preference then
  pcall(set_preference, "protobuf.pbf_as_hf", true)
  pcall(set_preference, "protobuf.preload_protos", true)
end

local NAMES = {
@NAMES@
}
local PUSHES = {
@PUSHES@
}
-- For JSON, where enums are numbers: the names of their values, and by message type the enum of a field, or after a dot
-- the message type in it.
local ENUMS = {
@ENUMS@
}
local FIELDS = {
@FIELDS@
}

local HEADER_LEN = 44
local MAX_BODY = 16 * 1024 * 1024 -- a longer message is none: OpenD sends a few MB at most
local MAX_NAMES, MAX_DEPTH = 1000, 64 -- enum values of a JSON body that are named; how deep it is looked into
local FORMATS = { [0] = "Protobuf", [1] = "Json" }
local KINDS = { [0] = "request", [1] = "response", [2] = "push" }
local REQUEST, RESPONSE, PUSH = 0, 1, 2

local opend = Proto("opend", "Futu OpenD")
local f = {
  proto_id = ProtoField.uint32("opend.proto_id", "Protocol id", base.DEC),
  proto = ProtoField.string("opend.proto", "Protocol"),
  kind = ProtoField.uint8("opend.kind", "Kind", base.DEC, KINDS),
  fmt = ProtoField.uint8("opend.fmt", "Body format", base.DEC, FORMATS),
  ver = ProtoField.uint8("opend.ver", "Version", base.DEC),
  serial_no = ProtoField.uint64("opend.serial_no", "Serial number", base.DEC),
  body_len = ProtoField.uint32("opend.body_len", "Body length", base.DEC),
  sha1 = ProtoField.bytes("opend.sha1", "SHA-1 of the plaintext"),
  reserved = ProtoField.bytes("opend.reserved", "Reserved"),
  error = ProtoField.int32("opend.error", "Error of the WebSocket port", base.DEC),
  error_text = ProtoField.string("opend.error_text", "Error text"),
  body = ProtoField.bytes("opend.body", "Body"),
  enum = ProtoField.string("opend.enum", "Enum value in JSON"),
  request_in = ProtoField.framenum("opend.request_in", "Request in", base.NONE, frametype.REQUEST),
  response_in = ProtoField.framenum("opend.response_in", "Response in", base.NONE, frametype.RESPONSE),
  time = ProtoField.relative_time("opend.time", "Time from the request"),
}
opend.fields = f
local unreadable = ProtoExpert.new(
  "opend.unreadable", "Encrypted or cut: opendump rewrite writes a capture in clear", expert.group.UNDECODED,
  expert.severity.NOTE)
opend.experts = { unreadable }
opend.prefs.ports = Pref.range("Gateway ports", "11111", "TCP ports of OpenD", 65535)

local protobuf, json = Dissector.get("protobuf"), Dissector.get("json")
-- By ends, protocol and serial number: requests without a response so far.  By frame and these: the request of the
-- response in the frame; the frame of the response to the request in it.
local open_requests, requests, responses = {}, {}, {}

function opend.init()
  open_requests, requests, responses = {}, {}, {}
end

-- Ports

local registered
local gateway_ports = {}

local function listen(ports)
  local tcp = DissectorTable.get("tcp.port")
  if registered then tcp:remove(registered, opend) end
  tcp:add(ports, opend)
  registered = ports
  gateway_ports = {}
  for first, last in ports:gmatch("(%d+)%-?(%d*)") do
    gateway_ports[#gateway_ports + 1] = { tonumber(first), tonumber(last) or tonumber(first) }
  end
end

local function is_gateway(port)
  for _, range in ipairs(gateway_ports) do
    if port >= range[1] and port <= range[2] then return true end
  end
  return false
end

-- Bodies

-- The number that begins at `at`, and where it ends; nothing if it is cut or too long.
local function varint(bytes, at, size)
  local value, factor = 0, 1
  for i = at, math.min(at + 9, size - 1) do
    local byte = bytes:get_index(i)
    value, factor = value + (byte % 128) * factor, factor * 128
    if byte < 128 then return value, i + 1 end
  end
end

-- A request is the field c2s and nothing else; a response or push begins with retType.  What is encrypted almost never
-- looks like that, and never like that to its very end.
local function is_in_clear(body, from_gateway)
  local size = body:len()
  local bytes = body:bytes()
  if bytes:get_index(0) ~= (from_gateway and 0x08 or 0x0a) then return false end
  local at = 0
  while at < size do
    local tag, value
    tag, at = varint(bytes, at, size)
    if not tag or tag < 8 or tag > 0x7ff then return false end
    local wire_type = tag % 8
    if wire_type == 0 then
      value, at = varint(bytes, at, size)
      if not value then return false end
    elseif wire_type == 2 then
      value, at = varint(bytes, at, size)
      if not value or at + value > size then return false end
      at = at + value
    elseif wire_type == 1 or wire_type == 5 then
      at = at + (wire_type == 1 and 8 or 4)
    else
      return false
    end
  end
  return at == size
end

-- Adds the name of each enum value in a JSON body.  Goes over the text once; `stack` has the message types around.
local function add_enum_names(body, message_type, tree)
  local text = body:raw()
  local stack, fields, key, added, at = {}, nil, nil, 0, 1
  while added < MAX_NAMES do
    local start, stop = text:find('[{}"%d-]', at)
    if not start then return end
    local mark = text:sub(start, start)
    if mark == '"' then
      stop = start
      repeat
        stop = text:find('["\\]', stop + 1)
        if not stop then return end
        local escapes = text:sub(stop, stop) == "\\"
        if escapes then stop = stop + 1 end
      until not escapes
      if text:find("^%s*:", stop + 1) then key = text:sub(start + 1, stop - 1) end
    elseif mark == "{" then
      if #stack == MAX_DEPTH then return end
      stack[#stack + 1] = { fields, key }
      local inner = #stack == 1 and "." .. message_type or fields and key and fields[key]
      fields, key = inner and inner:sub(1, 1) == "." and FIELDS[inner:sub(2)] or nil, nil
    elseif mark == "}" then
      if #stack == 0 then return end
      fields, key = stack[#stack][1], stack[#stack][2]
      stack[#stack] = nil
    else
      _, stop = text:find("^-?%d+[%d.eE+-]*", start)
      stop = stop or start
      local names = fields and key and ENUMS[fields[key]]
      local name = names and names[tonumber(text:sub(start, stop))]
      if name then
        local shown = key .. ": " .. name
        tree:add(f.enum, body(start - 1, stop - start + 1), shown):set_generated()
        added = added + 1
      end
    end
    at = stop + 1
  end
end

local function dissect_body(body, format, message, from_gateway, pinfo, tree)
  if format == 1 then
    if body(0, 1):uint() ~= 0x7b or not json then return false end
    local shown = pcall(Dissector.call, json, body, pinfo, tree)
    if message then add_enum_names(body, message, tree) end
    return shown
  elseif message and protobuf and is_in_clear(body, from_gateway) then
    pinfo.private["pb_msg_type"] = "message," .. message
    return pcall(Dissector.call, protobuf, body, pinfo, tree)
  end
  return false
end

-- Messages

-- Found when a packet is dissected first; Wireshark then dissects it again whenever it is looked at.  Not by tcp.stream:
-- the first time there is no tree to take it from.
local function find_links(kind, key, pinfo)
  if kind == REQUEST then
    open_requests[key] = { frame = pinfo.number, time = pinfo.abs_ts }
  elseif kind == RESPONSE and open_requests[key] then
    local request = open_requests[key]
    open_requests[key] = nil
    requests[pinfo.number .. key] = request
    responses[request.frame .. key] = pinfo.number
  end
end

local function link(kind, message, pinfo, tree)
  local ends = { pinfo.src_port .. " " .. tostring(pinfo.src), pinfo.dst_port .. " " .. tostring(pinfo.dst) }
  if message.from_gateway then ends[1], ends[2] = ends[2], ends[1] end
  local key = "/" .. ends[1] .. "/" .. ends[2] .. "/" .. message.id .. "/" .. tostring(message.serial)
  if not pinfo.visited then find_links(kind, key, pinfo) end
  local response, request = responses[pinfo.number .. key], requests[pinfo.number .. key]
  if kind == REQUEST and response then
    tree:add(f.response_in, response):set_generated()
  elseif kind == RESPONSE and request then
    local seconds = pinfo.abs_ts - request.time -- a float: good to a microsecond
    local whole = math.floor(seconds)
    tree:add(f.request_in, request.frame):set_generated()
    tree:add(f.time, NSTime.new(whole, math.floor((seconds - whole) * 1e6 + 0.5) * 1000)):set_generated()
  end
end

local function show_body(message, buffer, name, pinfo, tree)
  local length, there = message.length, buffer:len() - message.header_len
  if length == 0 then return true end
  local message_type = name and (name .. (message.from_gateway and ".Response" or ".Request"))
  if there == length and dissect_body(
    buffer(message.header_len, length):tvb(), message.format, message_type, message.from_gateway, pinfo, tree) then
    return true
  end
  if there > 0 then
    tree:add(f.body, buffer(message.header_len)):add_proto_expert_info(unreadable)
  else
    tree:add_proto_expert_info(unreadable)
  end
  return false
end

-- `message` is what its header says; its `add_header` adds that to the tree and returns false where it is cut.
local function show(message, buffer, pinfo, root)
  local name = NAMES[message.id]
  local kind = not message.from_gateway and REQUEST or PUSHES[message.id] and PUSH or RESPONSE
  local title = (name or ("protocol " .. message.id)) .. " " .. KINDS[kind] .. " #" .. tostring(message.serial)
  local tree = root:add(opend, buffer(), "OpenD " .. title)
  tree:add(f.proto, buffer(0, 1), name or "unknown"):set_generated()
  tree:add(f.kind, kind):set_generated()
  if not message.add_header(tree) then return end
  link(kind, message, pinfo, tree)
  if not show_body(message, buffer, name, pinfo, tree) then title = title .. " [not in clear]" end
  -- Last, as the dissectors of bodies write here too.  A packet may hold several messages.
  local before = pinfo.private["opend_info"]
  title = before and (before .. ", " .. title) or title
  pinfo.private["opend_info"] = title
  pinfo.cols.protocol = "OpenD"
  pinfo.cols.info = title
end

local function is_header(buffer)
  return buffer:len() >= 16 and buffer(0, 2):uint() == 0x4654 and buffer(12, 4):le_uint() <= MAX_BODY
end

local function is_from_gateway(buffer, pinfo)
  if is_gateway(pinfo.src_port) ~= is_gateway(pinfo.dst_port) then return is_gateway(pinfo.src_port) end
  local first = buffer:len() > HEADER_LEN and buffer(HEADER_LEN, 1):uint()
  if first == 0x08 or first == 0x0a then return first == 0x08 end -- retType of a response; c2s of a request
  return pinfo.src_port < pinfo.dst_port
end

local function dissect_message(buffer, pinfo, root)
  if not is_header(buffer) then return buffer:len() end
  show({
    id = buffer(2, 4):le_uint(), format = buffer(6, 1):uint(), serial = buffer(8, 4):le_uint(),
    length = buffer(12, 4):le_uint(), header_len = HEADER_LEN, from_gateway = is_from_gateway(buffer, pinfo),
    add_header = function(tree)
      tree:add_le(f.proto_id, buffer(2, 4))
      tree:add(f.fmt, buffer(6, 1))
      tree:add(f.ver, buffer(7, 1))
      tree:add_le(f.serial_no, buffer(8, 4))
      tree:add_le(f.body_len, buffer(12, 4))
      if buffer:len() < HEADER_LEN then return false end
      tree:add(f.sha1, buffer(16, 20))
      tree:add(f.reserved, buffer(36, 8))
      return true
    end,
  }, buffer, pinfo, root)
  return buffer:len()
end

local function message_length(buffer, _, offset)
  if not is_header(buffer(offset):tvb()) then return buffer:len() - offset end
  return HEADER_LEN + buffer(offset + 12, 4):le_uint()
end

function opend.dissector(buffer, pinfo, root)
  local size = buffer:len()
  if size == 0 or buffer(0, 1):uint() ~= 0x46 or (size > 1 and buffer(0, 2):uint() ~= 0x4654) then return 0 end
  pinfo.private["opend_info"] = nil
  dissect_tcp_pdus(buffer, root, HEADER_LEN, message_length, dissect_message)
  return size
end

-- WebSocket: messages with the header above, or with one of the official JavaScript SDK, big-endian and without SHA-1

local SIGN = "ft-v1.0\0"
local SDK_REQUEST_LEN, SDK_REPLY_LEN = 20, 44

local function dissect_sdk_message(buffer, pinfo, root, from_gateway)
  local header_len = from_gateway and SDK_REPLY_LEN or SDK_REQUEST_LEN
  if buffer:len() < header_len then return end
  show({
    id = buffer(8, 4):uint(), format = 0, serial = buffer(12, 8):uint64(),
    length = buffer:len() - header_len, header_len = header_len, from_gateway = from_gateway,
    add_header = function(tree)
      tree:add(f.proto_id, buffer(8, 4))
      tree:add(f.serial_no, buffer(12, 8))
      tree:add(f.body_len, buffer:len() - header_len):set_generated()
      if from_gateway then
        tree:add(f.error, buffer(20, 4))
        tree:add(f.error_text, buffer(24, 20))
      end
      return true
    end,
  }, buffer, pinfo, root)
end

local function dissect_websocket(buffer, pinfo, root)
  local size = buffer:len()
  if size >= SDK_REQUEST_LEN and buffer:raw(0, #SIGN) == SIGN then
    -- In a reply an error of 32 bits, which is small, stands where a request has nothing or the field c2s.
    local from_gateway = size >= SDK_REPLY_LEN and buffer(SDK_REQUEST_LEN, 1):uint() ~= 0x0a
    dissect_sdk_message(buffer, pinfo, root, from_gateway)
    return true
  end
  if size < HEADER_LEN or not is_header(buffer) then return false end
  local at = 0
  while size - at >= HEADER_LEN and is_header(buffer(at):tvb()) do
    local length = math.min(HEADER_LEN + buffer(at + 12, 4):le_uint(), size - at)
    dissect_message(buffer(at, length):tvb(), pinfo, root)
    at = at + length
  end
  return true
end

pcall(function() opend:register_heuristic("ws", dissect_websocket) end)

function opend.prefs_changed()
  listen(opend.prefs.ports)
end

listen(opend.prefs.ports)
