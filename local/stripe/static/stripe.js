// A stand-in for Stripe.js: the calls that Refill's pages make, over the same endpoints with the same keys.
(() => {
  const API = new URL(document.currentScript.src).origin;
  const FAST_MS = 250;
  const NAMES = { payment_method: "paymentMethod", payment_intent: "paymentIntent", setup_intent: "setupIntent" };

  const call = async (key, method, path, fields) => {
    const form = new URLSearchParams({ key, ...fields });
    const url = `${API}/v1/${path}`;
    const answer = await fetch(method === "GET" ? `${url}?${form}` : url, method === "GET" ? {} : { method, body: form });
    const body = await answer.json();
    return answer.ok ? { [NAMES[body.object]]: body } : { error: body.error };
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

    const pathOf = (secret) => `${secret.startsWith("seti_") ? "setup" : "payment"}_intents/${idOf(secret)}`;
    const intentOf = (result) => result.paymentIntent ?? result.setupIntent;
    const retrieve = (secret) => call(key, "GET", pathOf(secret), { client_secret: secret });

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
          if (found.error || intentOf(found).status !== "requires_action") return found;
          await new Promise((resolve) => setTimeout(resolve, FAST_MS));
        }
      } finally {
        dialog.remove();
      }
    };

    const settled = async (secret, result) => {
      const action = intentOf(result)?.next_action;
      if (result.error || intentOf(result).status !== "requires_action") return result;
      if (action.type === "redirect_to_url") {
        window.location.assign(action.redirect_to_url.url);
        return new Promise(() => {});
      }
      const found = await challenge(secret, action.use_stripe_sdk.stripe_js);
      const intent = intentOf(found);
      if (intent?.status !== "requires_payment_method") return found;
      return { error: { ...(intent.last_payment_error ?? intent.last_setup_error), [intent.object]: intent } };
    };

    const confirm = async (secret, fields) =>
      settled(secret, await call(key, "POST", `${pathOf(secret)}/confirm`, { client_secret: secret, use_stripe_sdk: "true", ...fields }));

    const confirmElements = async ({ elements, confirmParams = {} }) => {
      const made = await call(key, "POST", "payment_methods", elements.element.card());
      if (made.error) return made;
      return confirm(elements.clientSecret, { return_url: confirmParams.return_url, payment_method: made.paymentMethod.id });
    };

    return {
      retrievePaymentIntent: retrieve,
      confirmCardPayment: (secret, data = {}) => confirm(secret, data.payment_method ? { payment_method: data.payment_method } : {}),
      handleNextAction: async ({ clientSecret }) => settled(clientSecret, await retrieve(clientSecret)),
      handleCardAction: async (clientSecret) => settled(clientSecret, await retrieve(clientSecret)),
      elements: ({ clientSecret }) => {
        const element = new PaymentElement();
        return { clientSecret, element, create: () => element, getElement: () => element };
      },
      confirmPayment: (data) => confirmElements(data),
      confirmSetup: (data) => confirmElements(data),
    };
  };
})();
