# Feeds docs/snippets/verify.rb; drive.mjs says what the lines are.
require_relative "verify"

def word(genuine) = genuine == true ? "ok" : "refused"

$stdin.each_line(chomp: true) do |line|
  fields = line.split.map { |field| field == "-" ? nil : field[1..].unpack1("m0") }
  secret, key, body, *headers = fields
  # As Rack gives them: the body as bytes, headers as text.
  pendo, *standard = headers.map { |header| header&.force_encoding("UTF-8") }
  puts "#{word(Webhook.verify_pendo(secret, body, pendo))} #{word(Webhook.verify_standard(key, body, *standard))}"
end
