# Ruby 3.0 or later
require "openssl"

module Webhook
  TOLERANCE_S = 300

  module_function

  # A header that is missing is nil, and refused.
  def verify_pendo(secret, body, signature)
    OpenSSL.secure_compare(OpenSSL::HMAC.hexdigest("SHA256", secret, body), signature.to_s)
  end

  def verify_standard(signing_key, body, id, timestamp, signatures)
    return false if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE_S

    key = signing_key.delete_prefix("whsec_").unpack1("m0")
    mac = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body.b)
    expected = "v1,#{[mac].pack("m0")}"
    signatures.to_s.split(" ").any? { |given| OpenSSL.secure_compare(expected, given) }
  end
end
