// A stand-in for Stripe.js: the calls that Refill's pages make, over the same endpoints with the same keys.
(() => {
  const API = new URL(document.currentScript.src).origin;
  const FAST_MS = 250;

  const call = async (key, method, path, fields) => {
    const form = new URLSearchParams({ key, ...fields });
    const url = `${API}/v1/${path}`;
    const answer = await fetch(method === "GET" ? `${url}?${form}` : url, method === "GET" ? {} : { method, body: form });
    const body = await answer.json();
    return answer.ok ? { [body.object === "payment_method" ? "paymentMethod" : "paymentIntent"]: body } : { error: body.error };
  };
  const idOf = (secret) => secret.split("_secret_")[0];

  class PaymentElement {
    mount(target) {
      const root = typeof target === "string" ? document.querySelector(target) : target;
      const field = (label, name, value) => {
        const line = document.createElement("label");
        const input = document.createElement("input");
        input.name = name;
        input.value = value;
        input.autocomplete = "off";
        line.append(label, input);
        return line;
      };
      this.fields = document.createElement("div");
      this.fields.append(field("Card number", "number", ""), field("Expiry (MM / YY)", "expiry", "12 / 34"), field("CVC", "cvc", "123"));
      root.replaceChildren(this.fields);
    }
    unmount() {
      this.fields?.remove();
    }
    card() {
      const value = (name) => this.fields.querySelector(`[name=${name}]`).value;
      const [month = "", year = ""] = value("expiry").split("/").map((part) => part.trim());
      return {
        type: "card",
        "card[number]": value("number"),
        "card[exp_month]": month,
        "card[exp_year]": year,
        "card[cvc]": value("cvc"),
      };
    }
  }

  window.Stripe = (key) => {
    if (!/^pk_/.test(key ?? "")) throw new Error("Stripe() wants a publishable key.");

    const retrieve = (secret) => call(key, "GET", `payment_intents/${idOf(secret)}`, { client_secret: secret });

    // The bank's page in a dialog, until the PaymentIntent has moved on.
    const challenge = async (secret, url) => {
      const dialog = document.createElement("dialog");
      const frame = document.createElement("iframe");
      frame.title = "3-D Secure";
      frame.src = url;
      frame.width = "320";
      frame.height = "420";
      dialog.append(frame);
      document.body.append(dialog);
      dialog.showModal();
      try {
        for (;;) {
          const found = await retrieve(secret);
          if (found.error || found.paymentIntent.status !== "requires_action") return found;
          await new Promise((resolve) => setTimeout(resolve, FAST_MS));
        }
      } finally {
        dialog.remove();
      }
    };

    const settled = async (secret, result) => {
      const action = result.paymentIntent?.next_action;
      if (result.error || result.paymentIntent.status !== "requires_action") return result;
      if (action.type === "redirect_to_url") {
        window.location.assign(action.redirect_to_url.url);
        return new Promise(() => {});
      }
      const found = await challenge(secret, action.use_stripe_sdk.stripe_js);
      const refused = found.paymentIntent?.status === "requires_payment_method";
      return refused ? { error: { ...found.paymentIntent.last_payment_error, payment_intent: found.paymentIntent } } : found;
    };

    const confirm = async (secret, fields) =>
      settled(secret, await call(key, "POST", `payment_intents/${idOf(secret)}/confirm`, { client_secret: secret, use_stripe_sdk: "true", ...fields }));

    return {
      retrievePaymentIntent: retrieve,
      confirmCardPayment: (secret, data = {}) => confirm(secret, data.payment_method ? { payment_method: data.payment_method } : {}),
      handleNextAction: async ({ clientSecret }) => settled(clientSecret, await retrieve(clientSecret)),
      handleCardAction: async (clientSecret) => settled(clientSecret, await retrieve(clientSecret)),
      elements: ({ clientSecret }) => {
        const element = new PaymentElement();
        return { clientSecret, element, create: () => element, getElement: () => element };
      },
      confirmPayment: async ({ elements, confirmParams = {} }) => {
        const made = await call(key, "POST", "payment_methods", elements.element.card());
        if (made.error) return made;
        return confirm(elements.clientSecret, { return_url: confirmParams.return_url, payment_method: made.paymentMethod.id });
      },
    };
  };
})();
